/** The inside of a stream: how it is read and written, its fields, its mappers, and what a record of it becomes. */
import { Code, Group, MultiSelect, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { useMemo } from 'react';

import type { StreamProperty } from '../api/schema.gen';
import { isIncremental, modeLabel, modeNote, needsKey } from '../modes';
import { t } from '../text';
import { deletionMode, deletionModeLabel, deletionModes, withDeletionMode, type DeletionMode } from './missingRecords';
import { embeddedFields } from './embedded';
import { FieldList } from './FieldList';
import { textOf } from './fields';
import { Mappers } from './Mappers';
import { StreamPreview } from './StreamPreview';
import { offeredKey, type StreamConfig } from './streams';

export function StreamDetails({
  sourceId,
  destinationId,
  stream,
  chosen,
  textFields,
  editable,
  onChange,
}: {
  sourceId: string;
  destinationId: string;
  stream: StreamProperty;
  chosen: StreamConfig;
  /** What the destination embeds; undefined where it is no vector store. */
  textFields: string[] | undefined;
  editable: boolean;
  onChange: (chosen: StreamConfig) => void;
}) {
  const key = offeredKey(stream);
  const paths = useMemo(() => new Map(stream.propertyFields.map((path) => [textOf(path), path])), [stream]);
  const tops = useMemo(() => [...new Set(stream.propertyFields.map((path) => path[0]!))], [stream]);
  const keyFixed = stream.sourceDefinedPrimaryKey.length > 0;
  const embedded = useMemo(
    () => (textFields?.length ? embeddedFields(textFields, stream.propertyFields, chosen).offered : []),
    [textFields, stream, chosen],
  );
  return (
    <Stack gap="md">
      <Text size="sm">
        <b>{modeLabel(chosen.syncMode)}</b>. {modeNote(chosen.syncMode)}
      </Text>
      <SimpleGrid cols={{ base: 1, sm: isIncremental(chosen.syncMode) ? 3 : 2 }}>
        {isIncremental(chosen.syncMode) &&
          (stream.sourceDefinedCursorField || !editable ? (
            <Fixed label={t('Cursor')} note={stream.sourceDefinedCursorField ? t('Defined by the source.') : ''} names={chosen.cursorField?.length ? [textOf(chosen.cursorField)] : []} />
          ) : (
            <Select
              label={t('Cursor')}
              description={t('A field that increases with every change.')}
              data={[...new Set([...paths.keys(), ...(chosen.cursorField?.length ? [textOf(chosen.cursorField)] : [])])]}
              value={chosen.cursorField?.length ? textOf(chosen.cursorField) : null}
              searchable
              limit={100}
              onChange={(next) => onChange({ ...chosen, cursorField: next ? (paths.get(next) ?? [next]) : undefined })}
            />
          ))}
        {keyFixed || !editable ? (
          <Fixed label={t('Primary key')} note={keyFixed ? t('Defined by the source.') : ''} names={(chosen.primaryKey ?? []).map(textOf)} />
        ) : (
          <MultiSelect
            label={t('Primary key')}
            description={t('The fields that identify a record.')}
            data={[...new Set([...paths.keys(), ...(chosen.primaryKey ?? []).map(textOf)])]}
            value={(chosen.primaryKey ?? []).map(textOf)}
            withAsterisk={needsKey(chosen.syncMode)}
            searchable
            limit={100}
            onChange={(next) => onChange({ ...chosen, primaryKey: next.map((name) => paths.get(name) ?? [name]) })}
          />
        )}
        <TextInput
          label={t('Name in the destination')}
          description={t('Empty: the name of the stream.')}
          placeholder={stream.streamName}
          disabled={!editable}
          value={String(chosen.destinationObjectName ?? '')}
          onChange={(event) => onChange({ ...chosen, destinationObjectName: event.currentTarget.value || undefined })}
        />
        {deletionModes(chosen.syncMode).length > 1 && (
          <Select
            label={t('Records missing in the source')}
            description={t('Compares the stored records with all keys of the source.')}
            data={deletionModes(chosen.syncMode).map((mode) => ({ value: mode, label: deletionModeLabel(mode) }))}
            value={deletionMode(chosen)}
            allowDeselect={false}
            disabled={!editable}
            onChange={(next) => onChange(withDeletionMode(chosen, next as DeletionMode))}
          />
        )}
      </SimpleGrid>
      <FieldList sourceId={sourceId} streamKey={key} chosen={chosen} embedded={embedded} editable={editable} onChange={onChange} />
      <Mappers
        fields={tops}
        mappers={chosen.mappers ?? []}
        editable={editable}
        onChange={(mappers) => onChange({ ...chosen, mappers: mappers.length ? mappers : undefined })}
      />
      {editable && <StreamPreview sourceId={sourceId} destinationId={destinationId} chosen={chosen} vector={textFields !== undefined} />}
    </Stack>
  );
}

/** A setting that the source decides, or that the viewer may not change. */
function Fixed({ label, note, names }: { label: string; note: string; names: string[] }) {
  return (
    <Stack gap={2}>
      <Text size="sm" fw={600}>
        {label}
      </Text>
      <Text size="xs" c="dimmed">
        {note}
      </Text>
      <Group gap={6}>
        {names.map((name) => (
          <Code key={name}>{name}</Code>
        ))}
        {names.length === 0 && <Text size="sm">{t('none')}</Text>}
      </Group>
    </Stack>
  );
}
