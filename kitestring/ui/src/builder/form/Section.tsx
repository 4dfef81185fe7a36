/** A part of a form that opens on a click, and says in a few words what is set while it is closed. */
import { Box, Collapse, Group, Paper, Text, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useState } from 'react';

interface Props {
  title: string;
  gist?: string;
  /** Open at first. */
  open?: boolean;
  /** Has a defect: stays open. */
  wrong?: boolean;
  children: React.ReactNode;
}

export function Section({ title, gist, open = false, wrong = false, children }: Props) {
  const [opened, setOpened] = useState(open);
  const isOpen = opened || wrong;
  return (
    <Paper withBorder radius="md" role="group" aria-label={title}>
      <UnstyledButton w="100%" px="sm" py="xs" aria-expanded={isOpen} onClick={() => setOpened(!isOpen)}>
        <Group gap={8} wrap="nowrap">
          <IconChevronRight size={16} aria-hidden style={{ transform: isOpen ? 'rotate(90deg)' : undefined, flexShrink: 0 }} />
          <Text fw={600} size="sm" style={{ whiteSpace: 'nowrap' }}>
            {title}
          </Text>
          {!isOpen && gist && (
            <Text size="sm" c="dimmed" truncate>
              {gist}
            </Text>
          )}
        </Group>
      </UnstyledButton>
      <Collapse expanded={isOpen}>{isOpen && <Box p="sm" pt={0}>{children}</Box>}</Collapse>
    </Paper>
  );
}
