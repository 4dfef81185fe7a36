/** The inputs that people would have to enter and nothing reads, each with a button that removes it. */
import { Button, Group, Text } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useMemo } from 'react';

import { t } from '../../text';
import { useForm } from './context';
import { removedInput, unreadInputs } from './inputs';

export function UnreadInputs() {
  const { doc, edit, disabled } = useForm();
  const unread = useMemo(() => unreadInputs(doc), [doc]);
  if (unread.length === 0) return null;
  return (
    <Group gap={6} mt="xs">
      <Text size="sm" c="dimmed">
        {t('No template reads these inputs:')}
      </Text>
      {unread.slice(0, 8).map((name) => (
        <Button key={name} size="compact-xs" variant="light" color="gray" disabled={disabled} leftSection={<IconTrash size={12} aria-hidden />} aria-label={t('Remove the input {name}', { name })} onClick={() => edit(removedInput(doc, name))}>
          {name}
        </Button>
      ))}
    </Group>
  );
}
