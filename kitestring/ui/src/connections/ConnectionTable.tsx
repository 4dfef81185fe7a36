/** The rows of the list of connections, with their selection and the one menu of all rows. */
import { Paper, Skeleton, Text } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from 'react';

import type { ConnectionOverview } from '../api/schema.gen';
import styles from '../list/list.module.css';
import { SortHeader } from '../list/SortHeader';
import { useLinkClicks } from '../list/useLinkClicks';
import { t } from '../text';
import type { BulkAction } from './bulk';
import columns from './connections.module.css';
import { ConnectionRow, type Rights, type RowHandlers } from './ConnectionRow';
import type { OpenedMenu } from './RowMenu';

const RowMenu = lazy(() => import('./RowMenu').then((all) => ({ default: all.RowMenu })));

export function ConnectionTable({
  connections,
  rights,
  order,
  onSort,
  selected,
  onSelect,
  busy,
  onAct,
  onTags,
}: {
  /** Undefined while they are loaded. */
  connections: ConnectionOverview[] | undefined;
  rights: Rights;
  order: string;
  onSort: (order: string) => void;
  selected: Map<string, string>;
  onSelect: (selected: Map<string, string>) => void;
  /** The connections whose action is being done. */
  busy: Map<string, string> | undefined;
  onAct: (connection: ConnectionOverview, action: BulkAction) => void;
  onTags: (connection: ConnectionOverview) => void;
}) {
  const { history } = useRouter();
  const [menu, setMenu] = useState<OpenedMenu | null>(null);
  // The rows get handlers that never change, so that a selection renders one row and not all.
  const current = useRef({ connections, selected, onSelect, onAct, last: '' });
  Object.assign(current.current, { connections, selected, onSelect, onAct });
  const handlers = useMemo<RowHandlers>(
    () => ({
      select: (connection, checked, range) => {
        const { connections: rows = [], selected: before, last } = current.current;
        const after = new Map(before);
        const [from, to] = [last, connection.connectionId].map((id) => rows.findIndex((row) => row.connectionId === id)) as [number, number];
        const changed = range && from >= 0 ? rows.slice(Math.min(from, to), Math.max(from, to) + 1) : [connection];
        for (const row of changed) {
          if (checked) after.set(row.connectionId, row.name);
          else after.delete(row.connectionId);
        }
        current.current.last = connection.connectionId;
        current.current.onSelect(after);
      },
      run: (connection, action) => current.current.onAct(connection, action),
      menu: (connection, button) => setMenu({ connection, button }),
    }),
    [],
  );
  const close = useCallback(() => setMenu(null), []);
  const all = connections !== undefined && connections.length > 0 && connections.every((row) => selected.has(row.connectionId));
  const some = !all && (connections?.some((row) => selected.has(row.connectionId)) ?? false);
  const selectAll = (checked: boolean) => {
    const after = new Map(selected);
    for (const row of connections ?? []) {
      if (checked) after.set(row.connectionId, row.name);
      else after.delete(row.connectionId);
    }
    onSelect(after);
  };
  const sorting = { order, onSort };
  return (
    <Paper withBorder style={{ overflow: 'hidden' }} onClick={useLinkClicks()}>
      <table role="table" className={`${styles.table} ${styles.shares} ${columns.list}`} aria-label={t('Connections')}>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col" className={styles.check}>
              {rights.run && (
                <input
                  type="checkbox"
                  aria-label={t('Select the connections of this page')}
                  checked={all}
                  ref={(box) => {
                    if (box) box.indeterminate = some;
                  }}
                  onChange={(event) => selectAll(event.currentTarget.checked)}
                />
              )}
            </th>
            <SortHeader label={t('Connection')} by="name" {...sorting} />
            <SortHeader label={t('Status')} by="condition" {...sorting} />
            <SortHeader label={t('Last sync')} by="lastSync" descending {...sorting} />
            <SortHeader label={t('Freshness')} by="fresh" className={styles.narrow} {...sorting} />
            <th role="columnheader" scope="col" className={styles.medium}>
              {t('Tags')}
            </th>
            <SortHeader label={t('Owner')} by="owner" className={styles.wide} {...sorting} />
            <th role="columnheader" scope="col">
              <span className="unseen">{t('Actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {connections?.map((connection) => (
            <ConnectionRow
              key={connection.connectionId}
              connection={connection}
              rights={rights}
              selected={selected.has(connection.connectionId)}
              busy={busy?.has(connection.connectionId) ?? false}
              handlers={handlers}
            />
          ))}
          {!connections &&
            [1, 2, 3, 4].map((row) => (
              <tr key={row} className={styles.row}>
                <td colSpan={8}>
                  <Skeleton h={34} />
                </td>
              </tr>
            ))}
        </tbody>
      </table>
      {connections?.length === 0 && (
        <Text c="dimmed" size="sm" ta="center" py="xl">
          {t('No connection matches the filters.')}
        </Text>
      )}
      <Suspense fallback={null}>
        {menu && <RowMenu opened={menu} onClose={close} onStatus={onAct} onTags={onTags} onVisit={(address) => history.push(address)} />}
      </Suspense>
    </Paper>
  );
}
