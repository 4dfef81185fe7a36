/** Cursor, primary key and fields of one stream. */
import { Alert, Button, Checkbox, Group, Modal, MultiSelect, ScrollArea, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';

import type { StreamProperty } from '../api/schema.gen';
import { isIncremental, MODES, modeLabel, needsKey } from '../modes';
import { type Chosen, offeredKey } from './streams';

const MOST = 400;
const written = (path: string[]) => path.join('.');

export function StreamDetails({
  offered,
  chosen,
  onChange,
  onClose,
}: {
  offered: StreamProperty;
  chosen: Chosen;
  onChange: (chosen: Chosen) => void;
  onClose: () => void;
}) {
  const [words, setWords] = useState('');
  const paths = useMemo(() => new Map(offered.propertyFields.map((path) => [written(path), path])), [offered]);
  const top = useMemo(() => offered.propertyFields.filter((path) => path.length === 1).map((path) => path[0]!), [offered]);
  const selected = chosen.selectedFields ? new Set(chosen.selectedFields.map((one) => one.fieldPath[0]!)) : new Set(top);
  const cursorFixed = offered.sourceDefinedCursorField;
  const keyFixed = offered.sourceDefinedPrimaryKey.length > 0;
  const held = new Set([
    ...(chosen.primaryKey ?? []).map((path) => path[0]!),
    ...(isIncremental(chosen.syncMode) && chosen.cursorField?.length ? [chosen.cursorField[0]!] : []),
  ]);
  const found = top.filter((name) => name.toLowerCase().includes(words.trim().toLowerCase()));

  function select(names: Set<string>) {
    const next = { ...chosen };
    if (top.every((name) => names.has(name))) delete next.selectedFields;
    else next.selectedFields = top.filter((name) => names.has(name) || held.has(name)).map((name) => ({ fieldPath: [name] }));
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
            description={cursorFixed ? 'The source keeps its place by itself.' : 'The field that grows with every change.'}
            data={[...paths.keys()]}
            value={chosen.cursorField?.length ? written(chosen.cursorField) : null}
            disabled={cursorFixed}
            searchable
            limit={100}
            onChange={(next) => onChange({ ...chosen, cursorField: next ? paths.get(next) : undefined })}
          />
        )}
        <MultiSelect
          label="Primary key"
          description={keyFixed ? 'Defined by the source.' : 'The fields that tell one record from another.'}
          data={[...paths.keys()]}
          value={(chosen.primaryKey ?? []).map(written)}
          disabled={keyFixed}
          withAsterisk={needsKey(chosen.syncMode)}
          searchable
          limit={100}
          onChange={(next) => onChange({ ...chosen, primaryKey: next.map((one) => paths.get(one) ?? [one]) })}
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
                <Button size="compact-sm" variant="default" onClick={() => select(held)}>
                  {held.size ? 'Key and cursor only' : 'None'}
                </Button>
              </Group>
            </Group>
            {top.length > 12 && (
              <TextInput aria-label="Search the fields" placeholder="Search the fields" value={words} onChange={(event) => setWords(event.currentTarget.value)} />
            )}
            <ScrollArea.Autosize mah={300} type="auto" viewportProps={{ tabIndex: 0, role: 'group', 'aria-label': 'Fields' }}>
              <Stack gap={6} p={2}>
                {found.slice(0, MOST).map((name) => (
                  <Checkbox
                    key={name}
                    label={name}
                    checked={selected.has(name) || held.has(name)}
                    disabled={held.has(name)}
                    onChange={(event) => {
                      const next = new Set(selected);
                      if (event.currentTarget.checked) next.add(name);
                      else next.delete(name);
                      select(next);
                    }}
                  />
                ))}
                {found.length > MOST && <Text size="xs" c="dimmed">Search for the others.</Text>}
              </Stack>
            </ScrollArea.Autosize>
          </Stack>
        ) : (
          <Alert variant="default">The source does not say which fields this stream has: all are moved.</Alert>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
