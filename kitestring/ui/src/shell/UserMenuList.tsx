/** The user menu: who is signed in, how the interface looks in this browser, and sign-out. */
import { Menu, useMantineColorScheme } from '@mantine/core';
import { IconCheck, IconLogout } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Fragment } from 'react';

import { sessionQuery, signOut } from '../session/session';
import { chooseLanguage, currentLanguage, languages, t } from '../text';
import { notifyError } from './notify';
import { changePreferences, usePreferences } from './preferences';
import { UserButton } from './UserMenu';

interface Choice {
  title: string;
  current: string;
  options: [string, string][];
  choose: (value: string) => void;
}

export function UserMenuList() {
  const session = useQuery(sessionQuery).data;
  const navigate = useNavigate();
  const choices = useChoices();

  async function leave() {
    try {
      await signOut();
      // The session is over: a form with unsaved changes cannot be saved any more.
      await navigate({ to: '/sign-in', ignoreBlocker: true });
    } catch (error) {
      notifyError(error);
    }
  }

  return (
    <Menu defaultOpened position="bottom-end" width={230}>
      <Menu.Target>
        <UserButton />
      </Menu.Target>
      <Menu.Dropdown mah="calc(100dvh - 70px)" style={{ overflowY: 'auto' }}>
        {session?.userId && <Menu.Label>{session.name}</Menu.Label>}
        {choices.map(({ title, current, options, choose }) => (
          <Fragment key={title}>
            <Menu.Label>{title}</Menu.Label>
            {options.map(([value, label]) => (
              <Menu.Item
                key={value}
                py={5}
                closeMenuOnClick={false}
                aria-current={value === current || undefined}
                rightSection={value === current ? <IconCheck size={15} aria-hidden /> : undefined}
                onClick={() => choose(value)}
              >
                {label}
              </Menu.Item>
            ))}
          </Fragment>
        ))}
        {session?.userId && (
          <>
            <Menu.Divider />
            <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void leave()}>
              {t('Sign out')}
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

/** What this browser can choose: colours, density, zone, and language where there are several. */
function useChoices(): Choice[] {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { density, zone } = usePreferences();
  const choices: Choice[] = [
    {
      title: t('Colours'),
      current: colorScheme,
      options: [
        ['light', t('Light')],
        ['dark', t('Dark')],
        ['auto', t('System')],
      ],
      choose: (value) => setColorScheme(value as typeof colorScheme),
    },
    {
      title: t('Density'),
      current: density,
      options: [
        ['comfortable', t('Comfortable')],
        ['compact', t('Compact')],
      ],
      choose: (value) => changePreferences({ density: value as typeof density }),
    },
    {
      title: t('Times'),
      current: zone,
      options: [
        ['local', t('Local time ({zone})', { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })],
        ['utc', t('UTC')],
      ],
      choose: (value) => changePreferences({ zone: value as typeof zone }),
    },
  ];
  if (languages().length > 1) {
    const nameOf = (code: string) => new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
    choices.push({
      title: t('Language'),
      current: currentLanguage(),
      options: languages().map((code) => [code, nameOf(code)]),
      choose: chooseLanguage,
    });
  }
  return choices;
}
