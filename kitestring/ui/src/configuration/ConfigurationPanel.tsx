/** The configuration of a workspace, or of one resource, as YAML: copied, downloaded, edited, compared and applied. */
import { Button, CopyButton, Group, Skeleton, Stack, Text } from '@mantine/core';
import { IconCheck, IconCopy, IconDownload, IconPencil } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { RichText } from '../form/RichText';
import { useWorkspace } from '../session/session';
import { ErrorNote } from '../shell/ErrorNote';
import { notifyError, notifySuccess } from '../shell/notify';
import { plural, t } from '../text';
import { Changes } from './Changes';
import { apply, type Part, plan, textQuery } from './configuration';
import classes from './configuration.module.css';
import { Editor } from './Editor';

export function ConfigurationPanel({ workspaceId, part }: { workspaceId: string; part?: Part }) {
  const { may } = useWorkspace();
  const text = useQuery(textQuery(workspaceId, part));
  const [draft, setDraft] = useState<string | null>(null);
  const compared = useMutation({ mutationFn: (edited: string) => plan(workspaceId, edited) });
  const applied = useMutation({
    mutationFn: (edited: string) => apply(workspaceId, edited),
    onSuccess: ({ changes }) => {
      notifySuccess(plural(changes.length, '{count} change applied.', '{count} changes applied.'));
      stop();
    },
    onError: notifyError,
  });

  function stop() {
    setDraft(null);
    compared.reset();
  }

  if (text.error) return <ErrorNote error={text.error} retry={() => void text.refetch()} />;
  if (text.data === undefined) return <Skeleton h={320} role="status" aria-label={t('Loading')} />;
  const errors = compared.data?.errors ?? [];
  const checked = compared.data !== undefined && compared.variables === draft;
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="dimmed" maw={620}>
          <RichText text={t('The YAML of a project file for `kitestring apply`. Secrets appear as variables: leave a variable to keep the stored secret.')} />
        </Text>
        <Group gap="xs">
          <CopyButton value={draft ?? text.data}>
            {({ copied, copy }) => (
              <Button size="xs" variant="default" onClick={copy} leftSection={copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}>
                {copied ? t('Copied') : t('Copy')}
              </Button>
            )}
          </CopyButton>
          <Button size="xs" variant="default" leftSection={<IconDownload size={14} aria-hidden />} onClick={() => download(draft ?? text.data, part)}>
            {t('Download')}
          </Button>
          {draft === null && may('editor') && (
            <Button size="xs" leftSection={<IconPencil size={14} aria-hidden />} onClick={() => setDraft(text.data)}>
              {t('Edit')}
            </Button>
          )}
        </Group>
      </Group>
      {draft === null ? (
        <pre className={classes.text} tabIndex={0} aria-label={t('Configuration')}>
          {text.data}
        </pre>
      ) : (
        <>
          <Editor text={draft} change={setDraft} errors={checked ? errors : []} />
          {compared.error && <ErrorNote error={compared.error} />}
          {checked && errors.length === 0 && <Changes changes={compared.data.changes} />}
          <Group gap="xs">
            {checked && errors.length === 0 && compared.data.changes.length > 0 ? (
              <Button loading={applied.isPending} onClick={() => applied.mutate(draft)}>
                {plural(compared.data.changes.length, 'Apply {count} change', 'Apply {count} changes')}
              </Button>
            ) : (
              <Button loading={compared.isPending} disabled={draft === text.data} onClick={() => compared.mutate(draft)}>
                {t('Compare')}
              </Button>
            )}
            <Button variant="default" disabled={applied.isPending} onClick={stop}>
              {t('Discard')}
            </Button>
          </Group>
        </>
      )}
    </Stack>
  );
}

function download(text: string, part?: Part): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
  link.download = part ? `${part.name.replace(/[^\p{L}\p{N}._-]+/gu, '-')}.yaml` : 'kitestring.yaml';
  link.click();
  URL.revokeObjectURL(link.href);
}
