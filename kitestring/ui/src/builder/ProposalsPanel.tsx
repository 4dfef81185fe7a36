/** Suggestions for a stream, each tried on the real API: evidence, what would change in the text, and its taking. */
import { Alert, Badge, Button, Card, Checkbox, Drawer, Group, List, Loader, Stack, Text, Textarea, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api } from '../api/client';
import type { ManifestProposals } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { plural, t } from '../text';
import { capabilitiesQuery, type Proposal, PROJECTS } from './projects';
import { TextDifference } from './TextDifference';
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
}

export function ProposalsPanel({ opened, close, ...rest }: Props) {
  return (
    <Drawer opened={opened} onClose={close} position="right" size="xl" title={t('Suggest settings')} closeButtonProps={{ 'aria-label': t('Close') }}>
      {opened && <Panel {...rest} />}
    </Drawer>
  );
}

function Panel({ stream, text, saving, preview, take }: Omit<Props, 'opened' | 'close'>) {
  const assist = useQuery(capabilitiesQuery).data?.assist ?? false;
  const [kinds, setKinds] = useState<string[]>(['records', 'pagination', 'cursor', 'key', 'schema']);
  const [documentation, setDocumentation] = useState('');
  const [taken, setTaken] = useState<readonly Proposal[]>([]);
  const asking = useMutation({
    mutationFn: async () => {
      setTaken([]);
      const project = await saving.save();
      const common = { manifest: project.manifest, stream };
      const path = `${PROJECTS}/${project.projectId}`;
      const material = documentation.trim();
      if (assist && material) return api.ask<ManifestProposals>(`${path}/assist`, { ...common, ...(/^https?:\/\/\S+$/.test(material) ? { url: material } : { text: material }) });
      return api.ask<ManifestProposals>(`${path}/propose`, { ...common, what: kinds });
    },
  });
  const open = (asking.data?.proposals ?? []).filter((proposal) => !taken.includes(proposal));
  function accept(proposals: readonly Proposal[]) {
    take(proposals);
    setTaken([...taken, ...proposals]);
  }
  return (
    <Stack>
      <Text size="sm" c="dimmed">
        {t('Kitestring reads “{stream}” and tries what its answers suggest. Nothing changes before you take it.', { stream: stream ?? '' })}
      </Text>
      {assist && (
        <Textarea
          label={t('Documentation of the API')}
          description={t('An address or a text, for the model that the operator of this server has set. Leave it empty to go by the answers alone.')}
          value={documentation}
          onChange={(event) => setDocumentation(event.currentTarget.value)}
          autosize
          minRows={2}
          maxRows={8}
        />
      )}
      {documentation.trim() === '' && (
        <Checkbox.Group label={t('What to find out')} value={kinds} onChange={setKinds}>
          <Group gap="md" mt={6}>
            {KINDS.map((kind) => (
              <Checkbox key={kind} value={kind} label={wordOf(kind)} />
            ))}
          </Group>
        </Checkbox.Group>
      )}
      <Group>
        <Button loading={asking.isPending} disabled={kinds.length === 0 && documentation.trim() === ''} onClick={() => asking.mutate()}>
          {t('Try on the API')}
        </Button>
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
                {plural(asking.data.requests, '{count} request was sent.', '{count} requests were sent.')}
              </Text>
            </Text>
            {open.length > 1 && (
              <Button size="xs" onClick={() => accept(open)}>
                {t('Take all')}
              </Button>
            )}
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
        <Offer key={`${proposal.what} ${proposal.path.join('.')} ${proposal.title}`} proposal={proposal} text={text} preview={preview} accept={() => accept([proposal])} />
      ))}
    </Stack>
  );
}

function Offer({ proposal, text, preview, accept }: { proposal: Proposal; text: string; preview: Props['preview']; accept: () => void }) {
  const after = preview(proposal);
  return (
    <Card withBorder padding="md" component="section" aria-label={proposal.title}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
          <div>
            <Title order={3} size="h6">
              {proposal.title}
            </Title>
            <Text size="sm" c="dimmed">
              {proposal.evidence}
            </Text>
          </div>
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
