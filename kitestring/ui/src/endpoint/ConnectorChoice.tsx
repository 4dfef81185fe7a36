/** The catalog of connectors: those of the workspace, Kitestring's, then those of Airbyte's registry. */
import { Badge, Button, Chip, Group, SegmentedControl, Skeleton, Stack, Text, TextInput, Title, UnstyledButton } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';

import type { ConnectorSummary } from '../api/schema.gen';
import { categoryName, compareCategories, OTHER, useCategories } from '../catalog/categories';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { ErrorNote } from '../shell/ErrorNote';
import { t } from '../text';
import classes from './catalog.module.css';
import { connectorsQuery, type EndpointKind } from './endpoints';

const STEP = 60;

interface Listed {
  connector: ConnectorSummary;
  category: string;
}

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
  const categoryOf = useCategories();
  const [searchText, setSearchText] = useState('');
  const [origin, setOrigin] = useState('all');
  const [category, setCategory] = useState('');
  const [limit, setLimit] = useState(STEP);
  const terms = useDeferredValue(searchText).toLowerCase().split(/\s+/).filter(Boolean);

  const all: Listed[] = (connectors.data ?? []).map((connector) => ({ connector, category: categoryOf(connector) }));
  const matches = all.filter(
    (entry) => (origin === 'all' || originOf(entry.connector) === origin) && terms.every((term) => textOf(entry).includes(term)),
  );
  const categories = [...new Set(matches.map((entry) => entry.category))].sort(compareCategories);
  const listed = matches.filter((entry) => category === '' || !categories.includes(category) || entry.category === category);
  const own = listed.filter((entry) => originOf(entry.connector) === 'own').sort(byUse);
  const ours = listed.filter((entry) => originOf(entry.connector) === 'ours').sort(byUse);
  const others = listed.filter((entry) => originOf(entry.connector) === 'catalog').sort((first, second) => second.connector.used - first.connector.used);

  return (
    <Stack>
      <Group gap="sm">
        <TextInput
          aria-label={t('Search the connectors')}
          placeholder={connectors.data ? t('Search {count} connectors', { count: connectors.data.length }) : t('Search the connectors')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={searchText}
          onChange={(event) => {
            setSearchText(event.currentTarget.value);
            setLimit(STEP);
          }}
          onKeyDown={(event) => {
            const [first] = [...own, ...ours, ...others];
            if (event.key === 'Enter' && terms.length > 0 && first) onChoose(first.connector);
          }}
          data-autofocus
          flex={1}
          miw={220}
        />
        <SegmentedControl
          aria-label={t('Origin of the connectors')}
          value={origin}
          onChange={setOrigin}
          data={[
            { value: 'all', label: t('All') },
            ...(all.some((entry) => entry.connector.custom) ? [{ value: 'own', label: t('This workspace') }] : []),
            { value: 'ours', label: 'Kitestring' },
            { value: 'catalog', label: 'Airbyte' },
          ]}
        />
      </Group>
      {categories.length > 1 && (
        <Chip.Group value={category} onChange={(next) => setCategory(String(next))}>
          <div role="radiogroup" aria-label={t('Category')} className={classes.categories}>
            <Chip value="" size="xs" variant="outline">
              {t('Every category')}
            </Chip>
            {categories.map((name) => (
              <Chip key={name} value={name} size="xs" variant="outline">
                {categoryName(name)}
              </Chip>
            ))}
          </div>
        </Chip.Group>
      )}
      {connectors.error && <ErrorNote error={connectors.error} retry={() => void connectors.refetch()} />}
      {connectors.isPending && (
        <div className={classes.large} role="status" aria-label={t('Loading the connectors…')}>
          {Array.from({ length: 12 }, (_, n) => (
            <Skeleton key={n} height={82} radius="md" />
          ))}
        </div>
      )}
      {own.length > 0 && (
        <section aria-labelledby="catalog-own">
          <Title order={3} size="h5" id="catalog-own" mb="xs">
            {t('Of this workspace')}
          </Title>
          <div className={classes.small}>
            {own.map((entry) => (
              <Card key={entry.connector.definitionId} entry={entry} onChoose={onChoose} />
            ))}
          </div>
        </section>
      )}
      {ours.length > 0 && (
        <section aria-labelledby="catalog-ours">
          <Title order={3} size="h5" id="catalog-ours" mb="xs">
            {t('Part of Kitestring')}
            <Text span size="sm" c="dimmed" fw={400} ml="xs">
              {t('tested with it, nothing to install')}
            </Text>
          </Title>
          <div className={classes.large}>
            {ours.map((entry) => (
              <Card key={entry.connector.definitionId} entry={entry} onChoose={onChoose} large />
            ))}
          </div>
        </section>
      )}
      {others.length > 0 && (
        <section aria-labelledby="catalog-airbyte">
          <Title order={3} size="h5" id="catalog-airbyte" mb="xs" mt="xs">
            {t("From Airbyte's registry")}
            <Text span size="sm" c="dimmed" fw={400} ml="xs">
              {t('installed when you choose one')}
            </Text>
          </Title>
          <div className={classes.small}>
            {others.slice(0, limit).map((entry) => (
              <Card key={entry.connector.definitionId} entry={entry} onChoose={onChoose} />
            ))}
          </div>
        </section>
      )}
      {connectors.data && listed.length === 0 && (
        <Text c="dimmed">
          {t(
            "No connector matches “{text}”. A low-code manifest or any program that speaks Airbyte's protocol works too: see the documentation.",
            { text: searchText },
          )}
        </Text>
      )}
      {others.length > limit && (
        <Group justify="center">
          <Button variant="default" onClick={() => setLimit(limit + 3 * STEP)}>
            {t('Show more of {count}', { count: others.length })}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

function Card({ entry: { connector, category }, onChoose, large = false }: { entry: Listed; onChoose: (connector: ConnectorSummary) => void; large?: boolean }) {
  const details = large ? connector.summary : categoryName(category);
  return (
    <UnstyledButton className={classes.card} onClick={() => onChoose(connector)}>
      <ConnectorIcon type={connector.type} name={connector.name} svg={connector.icon} size={large ? 40 : 28} />
      <span className={classes.text}>
        <span className={classes.title}>
          <Text span fw={650} size="sm" className={classes.name}>
            {connector.name}
          </Text>
          {connector.used > 0 && (
            <Badge size="sm" variant="light" color="kite" tt="none" radius="sm" className={classes.badge}>
              {t('Used here')}
            </Badge>
          )}
        </span>
        {details && (
          <Text span size="xs" c="dimmed" className={classes.details}>
            {details.charAt(0).toUpperCase() + details.slice(1)}
          </Text>
        )}
        {!large && connector.installed && (
          <Text span size="xs" c="dimmed">
            {connector.custom ? t('Version {version}', { version: connector.version }) : `${t('Installed')} · ${connector.version}`}
          </Text>
        )}
      </span>
    </UnstyledButton>
  );
}

function textOf({ connector, category }: Listed): string {
  return `${connector.name} ${connector.type} ${category} ${connector.summary}`.toLowerCase();
}

function originOf(connector: ConnectorSummary): 'own' | 'ours' | 'catalog' {
  return connector.custom ? 'own' : connector.native ? 'ours' : 'catalog';
}

/** Those in use first, the general ones last. */
function byUse(first: Listed, second: Listed): number {
  return (
    Number(second.connector.used > 0) - Number(first.connector.used > 0) ||
    Number(first.category === OTHER) - Number(second.category === OTHER) ||
    first.connector.name.localeCompare(second.connector.name)
  );
}
