/** The frame of every page: navigation, workspace and user menu. */
import { Alert, AppShell, Box, Burger, Code, Group, Image, NavLink, Select, Text, UnstyledButton } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconArrowsRightLeft,
  IconDatabaseExport,
  IconDatabaseImport,
  IconHistory,
  IconLockOpen,
  IconSearch,
  IconSettings,
} from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useRouter, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';

import { chooseWorkspace, sessionQuery, useWorkspace, waysQuery } from '../session/session';
import { UserMenu } from './UserMenu';

const NAVIGATION = [
  { to: '/connections', label: 'Connections', icon: IconArrowsRightLeft },
  { to: '/jobs', label: 'Jobs', icon: IconHistory },
  { to: '/sources', label: 'Sources', icon: IconDatabaseExport },
  { to: '/destinations', label: 'Destinations', icon: IconDatabaseImport },
  { to: '/search', label: 'Search', icon: IconSearch },
  { to: '/settings', label: 'Settings', icon: IconSettings },
] as const;

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const { workspaceId, workspaces } = useWorkspace();
  const open = useQuery(waysQuery).data?.open;
  const router = useRouter();
  const signedOut = useQuery(sessionQuery).data === null;
  useEffect(() => {
    // The session expired while a page was open: sign in, then return to the page.
    if (signedOut) void router.navigate({ to: '/sign-in', search: { back: router.state.location.href } });
  }, [signedOut, router]);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={{ base: 'md', md: 'xl' }}
    >
      <a href="#content" className="skip">
        Skip to the content
      </a>
      <AppShell.Header px="md">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <UnstyledButton component={Link} to="/connections" aria-label="Kitestring">
              <Group gap={8} wrap="nowrap">
                <Image src="/kite.svg" w={28} h={28} alt="" />
                <Text fw={700} size="lg">
                  Kitestring
                </Text>
              </Group>
            </UnstyledButton>
          </Group>
          <Group gap="xs" wrap="nowrap">
            {workspaces.length > 1 && (
              <Select
                aria-label="Workspace"
                size="xs"
                w={170}
                allowDeselect={false}
                value={workspaceId ?? null}
                data={workspaces.map((workspace) => ({ value: workspace.workspaceId, label: workspace.name }))}
                onChange={(value) => value && chooseWorkspace(value)}
              />
            )}
            <UserMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Main">
        {NAVIGATION.map((entry) => (
          <NavLink
            key={entry.to}
            component={Link}
            to={entry.to}
            label={entry.label}
            leftSection={<entry.icon size={18} stroke={1.6} aria-hidden />}
            active={path.startsWith(entry.to)}
            aria-current={path.startsWith(entry.to) ? 'page' : undefined}
            onClick={close}
            variant="light"
            style={{ borderRadius: 'var(--mantine-radius-md)' }}
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Box maw={1280} mx="auto">
          {open && (
            <Alert mb="lg" p="xs" role="note" variant="default" icon={<IconLockOpen size={18} aria-hidden />}>
              <Text size="sm" c="dimmed">
                Sign-in is off: the server accepts requests from this machine only. Add the first user with{' '}
                <Code>kitestring user add you@example.com</Code>.
              </Text>
            </Alert>
          )}
          <Outlet />
        </Box>
      </AppShell.Main>
    </AppShell>
  );
}
