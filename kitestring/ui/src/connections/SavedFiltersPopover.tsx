/** What the button of saved filters opens: show one, save the current one, remove one. */
import { ActionIcon, Button, Group, Popover, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';

import { sessionQuery } from '../session/session';
import { t } from '../text';
import type { Filter } from './overviews';
import { useSavedFilters } from './savedFilters';

interface Props {
  workspaceId: string;
  filter: Filter;
  onShow: (filter: Filter) => void;
  opened: boolean;
  onOpened: (opened: boolean) => void;
  /** The button. */
  children: ReactNode;
}

export function SavedFiltersPopover({ workspaceId, filter, onShow, opened, onOpened, children }: Props) {
  const userId = useQuery(sessionQuery).data?.userId ?? '';
  const { filters, save, remove } = useSavedFilters(userId, workspaceId);
  const [name, setName] = useState('');
  // Opened after it was drawn: only then does it know where the focus was.
  const [visible, setVisible] = useState(false);
  useEffect(() => setVisible(opened), [opened]);
  const { page: _, ...current } = filter;
  const any = Object.values(current).some((value) => value !== undefined);
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!name.trim()) return;
    save(name.trim(), current);
    setName('');
    onOpened(false);
  }
  return (
    <Popover opened={visible} onChange={onOpened} position="bottom-end" width={280} trapFocus returnFocus>
      <Popover.Target>
        {children}
      </Popover.Target>
      <Popover.Dropdown aria-label={t('Saved filters')}>
        <Stack gap="xs">
          {filters.map((saved) => (
            <Group key={saved.name} gap="xs" wrap="nowrap" justify="space-between">
              <UnstyledButton
                style={{ flex: 1, overflowWrap: 'anywhere' }}
                onClick={() => {
                  onShow(saved.filter);
                  onOpened(false);
                }}
              >
                <Text size="sm" c="var(--mantine-color-anchor)">
                  {saved.name}
                </Text>
              </UnstyledButton>
              <ActionIcon variant="subtle" color="gray" aria-label={t('Remove the filter {name}', { name: saved.name })} onClick={() => remove(saved.name)}>
                <IconTrash size={15} aria-hidden />
              </ActionIcon>
            </Group>
          ))}
          {any ? (
            <form onSubmit={submit}>
              <Group gap="xs" wrap="nowrap" align="flex-end">
                <TextInput label={t('Save the filters and the order as')} value={name} maxLength={60} onChange={(event) => setName(event.currentTarget.value)} style={{ flex: 1 }} />
                <Button type="submit" disabled={name.trim() === ''}>
                  {t('Save')}
                </Button>
              </Group>
            </form>
          ) : (
            <Text size="sm" c="dimmed">
              {t('Set filters or an order first, then save them here. This browser stores them.')}
            </Text>
          )}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
