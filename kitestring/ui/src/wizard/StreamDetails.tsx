/** Cursor, primary key and fields of one stream. */
import { Alert, Button, Checkbox, Group, Modal, MultiSelect, ScrollArea, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';

import type { StreamProperty } from '../api/schema.gen';
import { isIncremental, MODES, modeLabel, needsKey } from '../modes';
import { type StreamConfig, offeredKey } from './streams';

const MAX_FIELDS = 400;
const pathText = (path: string[]) => path.join('.');

export function StreamDetails({
  offered,
  chosen,
  onChange,
  onClose,
}: {
  offered: StreamProperty;
  chosen: StreamConfig;
  onChange: (chosen: StreamConfig) => void;
  onClose: () => void;
}) {
  const [searchText, setSearchText] = useState('');
  const paths = useMemo(() => new Map(offered.propertyFields.map((path) => [pathText(path), path])), [offered]);
  const top = useMemo(() => offered.propertyFields.filter((path) => path.length === 1).map((path) => path[0]!), [offered]);
  const selected = chosen.selectedFields ? new Set(chosen.selectedFields.map((field) => field.fieldPath[0]!)) : new Set(top);
  const cursorFixed = offered.sourceDefinedCursorField;
  const keyFixed = offered.sourceDefinedPrimaryKey.length > 0;
  const requiredFields = new Set([
    ...(chosen.primaryKey ?? []).map((path) => path[0]!),
    ...(isIncremental(chosen.syncMode) && chosen.cursorField?.length ? [chosen.cursorField[0]!] : []),
  ]);
  const matches = top.filter((name) => name.toLowerCase().includes(searchText.trim().toLowerCase()));

  function select(names: Set<string>) {
    const next = { ...chosen };
    if (top.every((name) => names.has(name))) delete next.selectedFields;
    else next.selectedFields = top.filter((name) => names.has(name) || requiredFields.has(name)).map((name) => ({ fieldPath: [name] }));
    onChange(next);
  }

  return (
    <Modal
      opened
      onClose={onClose}
      title={<Text fw={650}>{offeredKey(offered)}</Text>}
      size="lg"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <Text size="sm" c="dimmed">
          {modeLabel(chosen.syncMode)}. {MODES[chosen.syncMode]?.note}
        </Text>
        {isIncremental(chosen.syncMode) && (
          <Select
            label="Cursor"
            description={cursorFixed ? 'Defined by the source.' : 'A field that increases with every change.'}
            data={[...paths.keys()]}
            value={chosen.cursorField?.length ? pathText(chosen.cursorField) : null}
            disabled={cursorFixed}
            searchable
            limit={100}
            onChange={(next) => onChange({ ...chosen, cursorField: next ? paths.get(next) : undefined })}
          />
        )}
        <MultiSelect
          label="Primary key"
          description={keyFixed ? 'Defined by the source.' : 'The fields that identify a record.'}
          data={[...paths.keys()]}
          value={(chosen.primaryKey ?? []).map(pathText)}
          disabled={keyFixed}
          withAsterisk={needsKey(chosen.syncMode)}
          searchable
          limit={100}
          onChange={(next) => onChange({ ...chosen, primaryKey: next.map((name) => paths.get(name) ?? [name]) })}
        />
        {top.length > 0 ? (
          <Stack gap="xs">
            <Group justify="space-between">
              <Text size="sm" fw={600}>
                Fields{' '}
                <Text span size="sm" c="dimmed" fw={400} className="numbers">
                  {selected.size} of {top.length}
                </Text>
              </Text>
              <Group gap="xs">
                <Button size="compact-sm" variant="default" onClick={() => select(new Set(top))}>
                  All
                </Button>
                <Button size="compact-sm" variant="default" onClick={() => select(requiredFields)}>
                  {requiredFields.size ? 'Key and cursor only' : 'None'}
                </Button>
              </Group>
            </Group>
            {top.length > 12 && (
              <TextInput aria-label="Search the fields" placeholder="Search the fields" value={searchText} onChange={(event) => setSearchText(event.currentTarget.value)} />
            )}
            <ScrollArea.Autosize mah={300} type="auto" viewportProps={{ tabIndex: 0, role: 'group', 'aria-label': 'Fields' }}>
              <Stack gap={6} p={2}>
                {matches.slice(0, MAX_FIELDS).map((name) => (
                  <Checkbox
                    key={name}
                    label={name}
                    checked={selected.has(name) || requiredFields.has(name)}
                    disabled={requiredFields.has(name)}
                    onChange={(event) => {
                      const next = new Set(selected);
                      if (event.currentTarget.checked) next.add(name);
                      else next.delete(name);
                      select(next);
                    }}
                  />
                ))}
                {matches.length > MAX_FIELDS && <Text size="xs" c="dimmed">Search to find the rest.</Text>}
              </Stack>
            </ScrollArea.Autosize>
          </Stack>
        ) : (
          <Alert variant="default">The source does not list the fields of this stream: all are copied.</Alert>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
