/** What a vector store embeds and keeps as metadata, in words; changed in place, with the source's own fields offered. */
import { Alert, Button, Card, Group, Stack, Text } from '@mantine/core';
import { IconSparkles } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { queryClient } from '../api/queries';
import { change, type Endpoint, endpointQuery } from '../endpoint/endpoints';
import { Tags } from '../form/Tags';
import { ErrorNote } from '../shell/ErrorNote';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';
import { metadataFieldsOf, suggestedFieldsQuery, textFieldsOf, withProcessing } from './embedded';

const MAX_NAMES = 8;

export function EmbeddedFields({ sourceId, destination, editable }: { sourceId: string; destination: Endpoint; editable: boolean }) {
  const [open, setOpen] = useState(false);
  const text = textFieldsOf(destination.configuration);
  const metadata = metadataFieldsOf(destination.configuration);
  if (text === undefined) return null;
  if (open) return <Change sourceId={sourceId} destination={destination} onClose={() => setOpen(false)} />;
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start">
      <IconSparkles size={17} aria-hidden style={{ flexShrink: 0, marginTop: 2 }} />
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
        <b>{t('Searchable text')}</b>: {text.length ? listed(text) : t('all fields')}. <b>{t('Stored for filters')}</b>: {metadata.length ? listed(metadata) : t('all fields')}.{' '}
        {text.length > 0 && metadata.length > 0 && <>{t('Other fields are not stored, except the key and the link of a record.')} </>}
        {editable && (
          <Button variant="transparent" size="compact-sm" p={0} td="underline" onClick={() => setOpen(true)}>
            {t('Change these fields')}
          </Button>
        )}
      </Text>
    </Group>
  );
}

function Change({ sourceId, destination, onClose }: { sourceId: string; destination: Endpoint; onClose: () => void }) {
  const suggested = useQuery(suggestedFieldsQuery(sourceId));
  const [text, setText] = useState(textFieldsOf(destination.configuration) ?? []);
  const [metadata, setMetadata] = useState(metadataFieldsOf(destination.configuration));
  const saving = useMutation({
    mutationFn: async () => {
      // The whole configuration is sent: as it is now, not as it was when this page was loaded.
      const current = await queryClient.fetchQuery({ ...endpointQuery('destination', destination.id), staleTime: 0 });
      const configuration = withProcessing(current.configuration, { text_fields: text, metadata_fields: metadata });
      return change('destination', current, current.name, configuration);
    },
    onSuccess: () => {
      notifySuccess(t('The fields of {destination} were saved', { destination: destination.name }));
      onClose();
    },
  });
  const fields = suggested.data?.fields ?? [];
  return (
    <Card withBorder role="region" aria-label={t('Searchable fields')}>
      <Stack gap="sm">
        <Text size="sm">
          {t('These are settings of {destination} and apply to all its connections. Stored records change with the next sync that reads them, or with a refresh.', {
            destination: destination.name,
          })}
        </Text>
        <Tags
          label={t('Text fields to embed')}
          description={t('Used for semantic search. None: all fields.')}
          data={fields}
          limit={60}
          value={text}
          onChange={setText}
          splitChars={[',']}
          acceptValueOnBlur
        />
        <Tags
          label={t('Fields to store as metadata')}
          description={t('Shown with results and used in filters. None: all fields.')}
          data={fields}
          limit={60}
          value={metadata}
          onChange={setMetadata}
          splitChars={[',']}
          acceptValueOnBlur
        />
        {suggested.data && suggested.data.text.length === 0 && (
          <Alert variant="light" color="gray">
            {t('No field name of the source suggests text.')}
          </Alert>
        )}
        {saving.error && <ErrorNote error={saving.error} />}
        <Group justify="space-between" gap="xs">
          <Button
            variant="default"
            size="xs"
            disabled={!suggested.data}
            onClick={() => {
              setText(suggested.data?.text ?? []);
              setMetadata(suggested.data?.metadata ?? []);
            }}
          >
            {t('Take the suggested fields')}
          </Button>
          <Group gap="xs">
            <Button variant="default" size="xs" onClick={onClose}>
              {t('Cancel')}
            </Button>
            <Button size="xs" loading={saving.isPending} onClick={() => saving.mutate()}>
              {t('Save the fields')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </Card>
  );
}

function listed(names: string[]): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(', ') + (more > 0 ? ` ${t('and {count} more', { count: more })}` : '');
}
