/** The filters of the list of connections: text, tag and owner; on a phone also the order. */
import { Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';

import type { ConnectionCounts } from '../api/schema.gen';
import { useSearchText } from '../list/useSearchText';
import { ANONYMOUS } from '../session/anonymous';
import { t } from '../text';
import type { Filter } from './overviews';
import { SavedFilters } from './SavedFilters';

export function FilterBar({
  workspaceId,
  filter,
  counts,
  onChange,
  onReplace,
}: {
  workspaceId: string;
  filter: Filter;
  counts: ConnectionCounts | undefined;
  onChange: (changes: Filter) => void;
  onReplace: (filter: Filter) => void;
}) {
  const [typed, type] = useSearchText(filter.text ?? '', (text) => onChange({ text: text || undefined }));
  const owners = counts?.owners.filter(({ owner }) => owner !== '' && owner !== ANONYMOUS) ?? [];
  const narrow = { style: { flex: '1 1 150px' }, maw: 220 };
  const filtered = Boolean(filter.text || filter.tag || filter.owner || filter.condition);
  return (
    <Group gap="xs">
      <TextInput
        aria-label={t('Search connections')}
        placeholder={t('Search by name, source or destination')}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={typed}
        onChange={(event) => type(event.currentTarget.value)}
        style={{ flex: '1 1 240px' }}
        maw={420}
      />
      {((counts?.tags.length ?? 0) > 0 || filter.tag) && (
        <NativeSelect
          aria-label={t('Tag')}
          data={[
            { value: '', label: t('Any tag') },
            ...(counts?.tags.map((tag) => ({ value: tag.tagId, label: `${tag.name} (${tag.connections})` })) ?? []),
          ]}
          value={filter.tag ?? ''}
          onChange={(event) => onChange({ tag: event.currentTarget.value || undefined })}
          {...narrow}
        />
      )}
      {(owners.length > 1 || filter.owner) && (
        <NativeSelect
          aria-label={t('Owner')}
          data={[
            { value: '', label: t('Any owner') },
            ...owners.map(({ owner, connections }) => ({ value: owner, label: `${owner} (${connections})` })),
          ]}
          value={filter.owner ?? ''}
          onChange={(event) => onChange({ owner: event.currentTarget.value || undefined })}
          {...narrow}
        />
      )}
      <NativeSelect
        hiddenFrom="sm"
        aria-label={t('Order')}
        data={[
          { value: 'name', label: t('By name') },
          { value: 'condition', label: t('By status') },
          { value: '-lastSync', label: t('Last sync first') },
          { value: 'fresh', label: t('Oldest data first') },
        ]}
        value={filter.order ?? 'name'}
        onChange={({ currentTarget: { value } }) => onChange({ order: value === 'name' ? undefined : value })}
        {...narrow}
      />
      {filtered && (
        <Button variant="subtle" onClick={() => onReplace({ order: filter.order })}>
          {t('Clear the filters')}
        </Button>
      )}
      <SavedFilters workspaceId={workspaceId} filter={filter} onShow={onReplace} />
    </Group>
  );
}
