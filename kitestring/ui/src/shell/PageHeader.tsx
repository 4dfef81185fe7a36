/** The header of a page: title, note and actions. Also sets the title of the browser tab. */
import { Box, Group, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';

import classes from './pageHeader.module.css';

export function PageHeader({
  title,
  note,
  above,
  sticky = false,
  children,
}: {
  title: string;
  note?: ReactNode;
  above?: ReactNode;
  /** Stays in view while a long page is scrolled. */
  sticky?: boolean;
  children?: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Kitestring`;
  }, [title]);
  return (
    <div className={classes.header} data-sticky={sticky || undefined}>
      <Stack gap={2} miw={0}>
        {above && <Box>{above}</Box>}
        <Title order={1} size="h2" style={{ overflowWrap: 'anywhere' }}>
          {title}
        </Title>
        {note && (
          <Text component="div" size="sm" c="dimmed">
            {note}
          </Text>
        )}
      </Stack>
      {children && <Group gap="xs">{children}</Group>}
    </div>
  );
}
