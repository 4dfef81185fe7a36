/** Says that a server has no users, until it is dismissed in this browser; leads to the form of the first user. */
import { Anchor, CloseButton, Paper, Text } from '@mantine/core';
import { IconLockOpen } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { waysQuery } from '../session/session';
import { t } from '../text';

const KEY = 'kitestring.open-server.dismissed';

export function OpenServerNote() {
  const open = useQuery(waysQuery).data?.open;
  const [dismissed, setDismissed] = useState(() => localStorage.getItem(KEY) !== null);
  if (!open || dismissed) return null;
  return (
    <Paper withBorder role="note" mb="lg" px="sm" py="xs" style={{ display: 'flex', alignItems: 'center', gap: 12 }}>
      <IconLockOpen size={18} aria-hidden style={{ flex: 'none' }} />
      <Text size="sm" c="dimmed" style={{ flex: 1 }}>
        {t('Sign-in is off: every user of this machine has full access, and other machines have none.')}{' '}
        <Anchor renderRoot={(props) => <Link to="/settings" search={{ tab: 'users' }} {...props} />} inherit underline="always">
          {t('Add the first user')}
        </Anchor>
      </Text>
      <CloseButton
        size="sm"
        aria-label={t('Dismiss')}
        onClick={() => {
          localStorage.setItem(KEY, 'yes');
          setDismissed(true);
        }}
      />
    </Paper>
  );
}
