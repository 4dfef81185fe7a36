/** Suggestions for a stream, each tried on the real API: evidence, what would change in the text, and its taking. */
import { Alert, Badge, Button, Card, Checkbox, Drawer, Group, List, Loader, Stack, Text, Textarea, Title } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api } from '../api/client';
import type { ManifestProposals } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import { capabilitiesQuery, type Proposal, PROJECTS } from './projects';
import { TextDifference } from './TextDifference';
import { left, tickedAtFirst, toggled } from './ticks';
import type { Saving } from './useSaving';

const KINDS = ['auth', 'records', 'pagination', 'cursor', 'key', 'schema'] as const;

interface Props {
  opened: boolean;
  close: () => void;
  stream: string | undefined;
  text: string;
  saving: Saving;
  /** The text with a proposal in it; null where it has no place any more. */
  preview: (proposal: Proposal) => string | null;
  take: (proposals: readonly Proposal[]) => void;
  /** Read the stream with what was taken. */
  read: () => void;
}

export function ProposalsPanel({ opened, close, ...rest }: Props) {
  return (
    <Drawer opened={opened} onClose={close} position="right" size="xl" title={t('Suggest settings')} closeButtonProps={{ 'aria-label': t('Close') }}>
      {opened && <Panel close={close} {...rest} />}
    </Drawer>
  );
}

function Panel({ stream, text, saving, preview, take, close, read }: Omit<Props, 'opened'>) {
  const capabilities = useQuery(capabilitiesQuery).data;
  const assist = capabilities?.assist ?? false;
  const [kinds, setKinds] = useState<string[]>(['records', 'pagination', 'cursor', 'key', 'schema']);
  const [documentation, setDocumentation] = useState('');
  const [taken, setTaken] = useState<readonly Proposal[]>([]);
  const [ticked, setTicked] = useState<readonly Proposal[]>([]);
  const material = documentation.trim();
  const most = capabilities?.proposalRequests[material ? 'assist' : 'propose'];
  const asking = useMutation({
    mutationFn: async () => {
      setTaken([]);
      const project = await saving.save();
      const common = { manifest: project.manifest, stream };
      const path = `${PROJECTS}/${project.projectId}`;
      if (material) return api.ask<ManifestProposals>(`${path}/assist`, { ...common, ...(/^https?:\/\/\S+$/.test(material) ? { url: material } : { text: material }) });
      return api.ask<ManifestProposals>(`${path}/propose`, { ...common, what: kinds });
    },
    onSuccess: ({ proposals }) => setTicked(tickedAtFirst(proposals)),
  });
  const open = left(asking.data?.proposals ?? [], taken);
  const chosen = open.filter((proposal) => ticked.includes(proposal));
  function accept(proposals: readonly Proposal[]) {
    take(proposals);
    setTaken([...taken, ...proposals]);
  }
  return (
    <Stack>
      <Text size="sm" c="dimmed">
        {t('Kitestring reads “{stream}” and tries what its answers suggest. Nothing changes before you take it.', { stream: stream ?? '' })}
      </Text>
      <Textarea
        label={t('Documentation of the API')}
        description={
          assist
            ? t('An address or a text, for the model that the operator of this server has set. Leave it empty to go by the answers alone.')
            : t('An address or a text: the names of parameters in it are tried. May stay empty.')
        }
        value={documentation}
        onChange={(event) => setDocumentation(event.currentTarget.value)}
        autosize
        minRows={assist ? 2 : 1}
        maxRows={8}
      />
      {material === '' && (
        <Checkbox.Group label={t('What to find out')} value={kinds} onChange={setKinds}>
          <Group gap="md" mt={6}>
            {KINDS.map((kind) => (
              <Checkbox key={kind} value={kind} label={wordOf(kind)} />
            ))}
          </Group>
        </Checkbox.Group>
      )}
      <Group>
        <Button loading={asking.isPending} disabled={kinds.length === 0 && material === ''} onClick={() => asking.mutate()}>
          {t('Try on the API')}
        </Button>
        {most !== undefined && (
          <Text size="sm" c="dimmed">
            {t('Sends at most {count} requests.', { count: most })}
          </Text>
        )}
      </Group>
      <div aria-live="polite">
        {asking.isPending && (
          <Group gap="xs">
            <Loader size={14} aria-hidden />
            <Text size="sm">{t('Reading real pages…')}</Text>
          </Group>
        )}
        {asking.error && <ErrorNote error={asking.error} />}
        {asking.data && !asking.isPending && (
          <Group justify="space-between">
            <Text size="sm">
              {open.length > 0
                ? plural(open.length, '{count} suggestion', '{count} suggestions')
                : taken.length > 0
                  ? t('All suggestions are taken.')
                  : t('Nothing to suggest.')}{' '}
              <Text span c="dimmed" size="sm">
                {'· '}
                {plural(asking.data.requests, '{count} request of at most {most} was sent.', '{count} requests of at most {most} were sent.', { most: asking.data.most })}
              </Text>
            </Text>
            <Group gap="xs">
              {open.length > 1 && (chosen.length > 0 || taken.length === 0) && (
                <Button size="xs" disabled={chosen.length === 0} onClick={() => accept(chosen)}>
                  {chosen.length === open.length ? t('Take all') : t('Take the {count} ticked', { count: chosen.length })}
                </Button>
              )}
              {taken.length > 0 && (
                <Button
                  size="xs"
                  onClick={() => {
                    close();
                    read();
                  }}
                >
                  {t('Close and read')}
                </Button>
              )}
            </Group>
          </Group>
        )}
      </div>
      {asking.data && !asking.isPending && asking.data.notes.length > 0 && (
        <List size="sm" aria-label={t('What was noted on the way')}>
          {asking.data.notes.map((note) => (
            <List.Item key={note}>{note}</List.Item>
          ))}
        </List>
      )}
      {open.map((proposal) => (
        <Offer key={`${proposal.what} ${proposal.path.join('.')} ${proposal.title}`} proposal={proposal} text={text} preview={preview} accept={() => accept([proposal])} tick={open.length > 1 ? { on: chosen.includes(proposal), change: (on) => setTicked(toggled(ticked, proposal, on)) } : undefined} />
      ))}
    </Stack>
  );
}

interface OfferProps {
  proposal: Proposal;
  text: string;
  preview: Props['preview'];
  accept: () => void;
  tick: { on: boolean; change: (on: boolean) => void } | undefined;
}

function Offer({ proposal, text, preview, accept, tick }: OfferProps) {
  const after = preview(proposal);
  return (
    <Card withBorder padding="md" component="section" aria-label={proposal.title}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
          <Group gap="sm" wrap="nowrap" align="flex-start">
            {tick && <Checkbox mt={1} aria-label={t('Take “{title}” with the others', { title: proposal.title })} checked={tick.on} onChange={(event) => tick.change(event.currentTarget.checked)} />}
            <div>
              <Title order={3} size="h6">
                {proposal.title}
              </Title>
              <Text size="sm" c="dimmed">
                {proposal.evidence}
              </Text>
              {proposal.warning && (
                <Text size="sm" mt={4}>
                  <IconAlertTriangle size={15} color="var(--mantine-color-yellow-7)" style={{ verticalAlign: '-2px' }} aria-hidden /> {proposal.warning}
                </Text>
              )}
            </div>
          </Group>
          <Badge variant="light" color={proposal.confidence === 'proven' ? 'teal' : 'yellow'} tt="none" radius="sm" c="var(--mantine-color-text)" style={{ flex: 'none' }}>
            {proposal.confidence === 'proven' ? t('Proven') : t('Likely')}
          </Badge>
        </Group>
        {after === null ? (
          <Alert color="yellow" variant="light" p="xs">
            <Text size="sm">{t('The text has changed: this has no place in it any more. Ask again.')}</Text>
          </Alert>
        ) : (
          <>
            <TextDifference before={text} after={after} label={t('What changes in the text')} />
            <Group>
              <Button size="xs" variant="light" onClick={accept} disabled={after === text}>
                {after === text ? t('Set already') : t('Take it')}
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Card>
  );
}

function wordOf(kind: (typeof KINDS)[number]): string {
  return { auth: t('Authentication'), records: t('Records'), pagination: t('Pagination'), cursor: t('Cursor'), key: t('Primary key'), schema: t('Schema') }[kind];
}
