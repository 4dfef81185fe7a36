/** Add tags to connections, remove tags, and create new ones. */
import { Button, Checkbox, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, PUBLIC } from '../api/client';
import type { Tag, Tags } from '../api/schema.gen';
import { colourOf } from '../list/Tags';
import { ErrorNote } from '../shell/ErrorNote';
import { useFocusBack } from '../shell/useFocusBack';
import { plural, t } from '../text';

/** Colours of new tags, dark enough for a dot on white and light enough on black. */
const COLOURS = ['1971C2', '2F9E44', 'E8590C', '9C36B5', 'C2255C', '0C8599', 'F08C00', '6741D9'];

export function TagDialog({
  workspaceId,
  connections,
  tagged,
  pending,
  onApply,
  onClose,
}: {
  workspaceId: string;
  /** How many connections are tagged. */
  connections: number;
  /** The tags that all of them have, where that is known. */
  tagged: string[];
  pending: boolean;
  onApply: (action: 'addTags' | 'removeTags', tagIds: string[]) => void;
  onClose: () => void;
}) {
  useFocusBack();
  const client = useQueryClient();
  const [chosen, setChosen] = useState<string[]>(tagged);
  const [name, setName] = useState('');
  const tags = useQuery({
    queryKey: ['tags', workspaceId],
    queryFn: async () => (await api.get<Tags>(`${PUBLIC}/tags`, { workspaceIds: workspaceId })).data,
  });
  const creating = useMutation({
    mutationFn: () => {
      const color = COLOURS[(tags.data?.length ?? 0) % COLOURS.length];
      return api.post<Tag>(`${PUBLIC}/tags`, { workspaceId, name: name.trim(), color });
    },
    onSuccess: async (tag) => {
      setName('');
      setChosen((before) => [...before, tag.tagId]);
      await client.invalidateQueries({ queryKey: ['tags', workspaceId] });
    },
  });
  function create(event: FormEvent) {
    event.preventDefault();
    if (name.trim()) creating.mutate();
  }
  return (
    <Modal opened onClose={onClose} title={plural(connections, 'Tags of {count} connection', 'Tags of {count} connections')} closeButtonProps={{ 'aria-label': t('Close') }}>
      <Stack>
        {tags.error && <ErrorNote error={tags.error} retry={() => void tags.refetch()} />}
        {tags.data?.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('Tags group connections: by team, by urgency, by customer. The list can be filtered by them.')}
          </Text>
        )}
        <Checkbox.Group value={chosen} onChange={setChosen} aria-label={t('Tags')}>
          <Stack gap="xs">
            {tags.data?.map((tag) => (
              <Checkbox
                key={tag.tagId}
                value={tag.tagId}
                label={
                  <Group gap={6} wrap="nowrap">
                    <span style={{ width: 10, height: 10, borderRadius: '50%', background: colourOf(tag), flex: 'none' }} />
                    {tag.name}
                  </Group>
                }
              />
            ))}
          </Stack>
        </Checkbox.Group>
        <form onSubmit={create}>
          <Group gap="xs" align="flex-end" wrap="nowrap">
            <TextInput label={t('New tag')} value={name} maxLength={100} onChange={(event) => setName(event.currentTarget.value)} style={{ flex: 1 }} />
            <Button type="submit" variant="default" loading={creating.isPending} disabled={name.trim() === ''}>
              {t('Create')}
            </Button>
          </Group>
        </form>
        {creating.error && <ErrorNote error={creating.error} />}
        <Group justify="flex-end">
          <Button variant="default" disabled={chosen.length === 0} loading={pending} onClick={() => onApply('removeTags', chosen)}>
            {t('Remove')}
          </Button>
          <Button disabled={chosen.length === 0} loading={pending} onClick={() => onApply('addTags', chosen)}>
            {t('Add')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
