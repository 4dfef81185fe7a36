/** The list of connectors: Kitestring's first, then those of Airbyte's registry, with a search. */
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
  onChoose: (connector: ConnectorSummary) => void;
}) {
  const connectors = useQuery(connectorsQuery(kind, workspaceId));
  const [searchText, setSearchText] = useState('');
  const [origin, setOrigin] = useState('all');
  const [limit, setLimit] = useState(STEP);
  const terms = useDeferredValue(searchText).toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (connectors.data ?? []).filter(
    (connector) =>
      (origin === 'all' || connector.native === (origin === 'ours')) &&
      terms.every((term) => `${connector.name} ${connector.type} ${connector.category}`.toLowerCase().includes(term)),
  );

  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label="Search the connectors"
          placeholder={`Search ${connectors.data?.length ?? ''} connectors`}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => {
            setSearchText(event.currentTarget.value);
            setLimit(STEP);
          }}
          data-autofocus
          flex={1}
          miw={220}
        />
        <SegmentedControl
          aria-label="Origin of the connectors"
          value={origin}
          onChange={setOrigin}
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
        {matches.slice(0, limit).map((connector) => (
          <UnstyledButton key={connector.definitionId} onClick={() => onChoose(connector)}>
            <Card withBorder padding="sm" h="100%">
              <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
                <Group gap="xs" wrap="nowrap">
                  <Icon connector={connector} />
                  <Text fw={600} size="sm" style={{ overflowWrap: 'anywhere' }}>
                    {connector.name}
                  </Text>
                </Group>
                <Support connector={connector} />
              </Group>
              <Text size="xs" c="dimmed" mt={2}>
                {[connector.category, connectorNote(connector)].filter(Boolean).join(' · ')}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
      {connectors.data && matches.length === 0 && (
        <Text c="dimmed">
          No connector matches “{searchText}”. A low-code manifest or any program that speaks Airbyte's protocol works too: see
          the documentation.
        </Text>
      )}
      {matches.length > limit && (
        <Group justify="center">
          <Button variant="default" onClick={() => setLimit(limit + 3 * STEP)}>
            Show more of {matches.length}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

/** The connector's own icon, or the icon of its category. */
function Icon({ connector }: { connector: ConnectorSummary }) {
  if (connector.icon.startsWith('<')) return <img src={`data:image/svg+xml,${encodeURIComponent(connector.icon)}`} alt="" height={18} />;
  const Sign = SIGNS[connector.category];
  return Sign ? <Sign size={18} aria-hidden style={{ flexShrink: 0 }} /> : null;
}

function Support({ connector }: { connector: ConnectorSummary }) {
  if (connector.native)
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

function connectorNote(connector: ConnectorSummary): string {
  if (connector.native) return connector.summary || 'Part of Kitestring';
  return connector.installed ? `${connector.version}, installed` : `${connector.version}, installed when you choose it`;
}
