/** Copies what is on the page as a call of the API, for a shell or for Python. It holds no secret. */
import { Button, Menu } from '@mantine/core';
import { IconBrandPython, IconCode, IconTerminal2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { waysQuery } from '../session/session';
import { notifySuccess } from '../shell/notify';
import { t } from '../text';
import { asCurl, asPython } from './code';

export function CopyCode({ path, body, list }: { path: string; body: unknown; list: 'rows' | 'data' | 'points' }) {
  const ways = useQuery(waysQuery).data;
  const call = { origin: window.location.origin, path, body, token: ways?.open !== true };

  async function copy(text: string) {
    await navigator.clipboard.writeText(text);
    notifySuccess(call.token ? t('Copied. Put a token into KITESTRING_TOKEN: Settings, Applications.') : t('Copied.'));
  }

  return (
    <Menu position="bottom-end" width={180}>
      <Menu.Target>
        <Button size="compact-sm" variant="default" leftSection={<IconCode size={14} aria-hidden />}>
          {t('Copy as code')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={<IconTerminal2 size={16} aria-hidden />} onClick={() => void copy(asCurl(call))}>
          {t('curl')}
        </Menu.Item>
        <Menu.Item leftSection={<IconBrandPython size={16} aria-hidden />} onClick={() => void copy(asPython(call, list))}>
          {t('Python')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
