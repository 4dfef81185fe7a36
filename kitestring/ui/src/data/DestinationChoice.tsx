/** The destination whose data is shown; others are found by the server, however many there are. */
import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import type { EndpointOverview } from '../api/schema.gen';
import { overviewsQuery } from '../endpoint/endpoints';
import { t } from '../text';

export const CHOICES = 50;

interface Props {
  chosen: EndpointOverview | undefined;
  workspaceId: string | undefined;
  choose: (id: string) => void;
}

export function DestinationChoice({ chosen, workspaceId, choose }: Props) {
  const [typed, setTyped] = useState('');
  // The field shows the name of what is chosen: only what is typed over it is searched.
  const [text] = useDebouncedValue(typed === chosen?.name ? '' : typed.trim(), 250);
  const matches = useQuery(overviewsQuery('destination', workspaceId, { browsable: true, ...(text && { text }) }, CHOICES));
  const offered = matches.data?.data ?? [];
  const options = chosen && !offered.some(({ id }) => id === chosen.id) ? [chosen, ...offered] : offered;
  return (
    <Select
      aria-label={t('Destination')}
      data={options.map(({ id, name }) => ({ value: id, label: name }))}
      value={chosen?.id ?? null}
      onChange={(id) => id && choose(id)}
      allowDeselect={false}
      searchable={(matches.data?.total ?? 0) > 10 || text !== ''}
      onSearchChange={setTyped}
      filter={({ options: matching }) => matching}
      nothingFoundMessage={t('No match for “{text}”.', { text })}
      w={{ base: '100%', xs: 260 }}
    />
  );
}
