/** Choosing a connector: ours first, then the public ones of Airbyte's catalog, found by name. */
import { Badge, Button, Card, Group, SegmentedControl, SimpleGrid, Skeleton, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import {
  IconBook,
  IconCode,
  IconCreditCard,
  IconDatabase,
  IconFiles,
  IconHeadset,
  IconListCheck,
  IconMessages,
  IconPlug,
  IconSearch,
  IconShoppingCart,
  IconTestPipe,
  IconUsers,
  IconVector,
  type TablerIcon,
} from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';

import type { ConnectorSummary } from '../api/schema.gen';
import { ErrorNote } from '../shell/ErrorNote';
import { type EndpointKind, connectorsQuery } from './endpoints';

const SIGNS: Record<string, TablerIcon> = {
  commerce: IconShoppingCart,
  communication: IconMessages,
  'customer relations': IconUsers,
  database: IconDatabase,
  'developer tools': IconCode,
  files: IconFiles,
  'help desk': IconHeadset,
  'knowledge base': IconBook,
  'other connectors': IconPlug,
  payments: IconCreditCard,
  'project management': IconListCheck,
  'sample data': IconTestPipe,
  'vector store': IconVector,
};

const STEP = 60;

export function ConnectorChoice({
  kind,
  workspaceId,
  onChoose,
}: {
  kind: EndpointKind;
  workspaceId: string | undefined;
  onChoose: (one: ConnectorSummary) => void;
}) {
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const [words, setWords] = useState('');
  const [which, setWhich] = useState('all');
  const [most, setMost] = useState(STEP);
  const wanted = useDeferredValue(words).toLowerCase().split(/\s+/).filter(Boolean);
  const found = (connectors.data ?? []).filter(
    (one) =>
      (which === 'all' || one.native === (which === 'ours')) &&
      wanted.every((word) => `${one.name} ${one.type} ${one.category}`.toLowerCase().includes(word)),
  );

  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label="Search the connectors"
          placeholder={`Search ${connectors.data?.length ?? ''} connectors`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={words}
          onChange={(event) => {
            setWords(event.currentTarget.value);
            setMost(STEP);
          }}
          data-autofocus
          flex={1}
          miw={220}
        />
        <SegmentedControl
          aria-label="Which connectors"
          value={which}
          onChange={setWhich}
          data={[
            { value: 'all', label: 'All' },
            { value: 'ours', label: 'Kitestring' },
            { value: 'catalog', label: 'Airbyte' },
          ]}
        />
      </Group>
      {connectors.error && <ErrorNote error={connectors.error} retry={() => void connectors.refetch()} />}
      {connectors.isPending && <Skeleton height={240} />}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="sm">
        {found.slice(0, most).map((one) => (
          <UnstyledButton key={one.definitionId} onClick={() => onChoose(one)}>
            <Card withBorder padding="sm" h="100%">
              <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
                <Group gap="xs" wrap="nowrap">
                  <Icon one={one} />
                  <Text fw={600} size="sm" style={{ overflowWrap: 'anywhere' }}>
                    {one.name}
                  </Text>
                </Group>
                <Support one={one} />
              </Group>
              <Text size="xs" c="dimmed" mt={2}>
                {[one.category, needs(one)].filter(Boolean).join(' · ')}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      {connectors.data && found.length === 0 && (
        <Text c="dimmed">
          No connector is called “{words}”. A low-code manifest or any program that speaks Airbyte's protocol works too: see
          the documentation.
        </Text>
      )}
      {found.length > most && (
        <Group justify="center">
          <Button variant="default" onClick={() => setMost(most + 3 * STEP)}>
            Show more of {found.length}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

/** The connector's own icon, or the sign of its category. */
function Icon({ one }: { one: ConnectorSummary }) {
  if (one.icon.startsWith('<')) return <img src={`data:image/svg+xml,${encodeURIComponent(one.icon)}`} alt="" height={18} />;
  const Sign = SIGNS[one.category];
  return Sign ? <Sign size={18} aria-hidden style={{ flexShrink: 0 }} /> : null;
}

function Support({ one }: { one: ConnectorSummary }) {
  if (one.native)
    return (
      <Badge size="sm" variant="light" style={{ flexShrink: 0 }}>
        Kitestring
      </Badge>
    );
  return (
    <Badge size="sm" variant="default" style={{ flexShrink: 0 }}>
      Airbyte
    </Badge>
  );
}

function needs(one: ConnectorSummary): string {
  if (one.native) return one.summary || 'Comes with Kitestring, tested with it';
  return one.installed ? `${one.version}, installed` : `${one.version}, is installed when you choose it`;
}
