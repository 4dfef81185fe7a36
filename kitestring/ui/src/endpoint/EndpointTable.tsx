/** Sources or destinations with their connectors, uses and last tests: a table that sorts, cards on a phone. */
import { Button, Paper } from '@mantine/core';
import { IconPlugConnected } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';

import type { EndpointOverview } from '../api/schema.gen';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import styles from '../list/list.module.css';
import { SortHeader } from '../list/SortHeader';
import { useLinkClicks } from '../list/useLinkClicks';
import { ANONYMOUS } from '../session/anonymous';
import { RowsSkeleton } from '../shell/OutlineSkeleton';
import { notifyError } from '../shell/notify';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import { check, type EndpointKind } from './endpoints';
import classes from './endpoints.module.css';
import { LastTest } from './LastTest';

interface Props {
  kind: EndpointKind;
  label: string;
  /** Undefined while they are loaded. */
  rows: EndpointOverview[] | undefined;
  order: string;
  onSort: (order: string) => void;
  mayTest: boolean;
}

export function EndpointTable({ kind, label, rows, order, onSort, mayTest }: Props) {
  const follow = useLinkClicks();
  const sorting = { order, onSort };
  if (rows === undefined) return <RowsSkeleton />;
  if (rows.length === 0) return null;
  return (
    <Paper withBorder style={{ overflow: 'hidden' }} onClick={follow}>
      <table role="table" className={styles.table} aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            <SortHeader label={t('Name')} by="name" {...sorting} />
            <SortHeader label={t('Connector')} by="connector" {...sorting} />
            <SortHeader label={t('Connections')} by="connections" descending {...sorting} />
            <SortHeader label={t('Last test')} by="test" {...sorting} />
            <SortHeader label={t('Created')} by="created" descending className={styles.medium} {...sorting} />
            <SortHeader label={t('Owner')} by="owner" className={styles.wide} {...sorting} />
            <th role="columnheader" scope="col">
              <span className="unseen">{t('Actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((endpoint) => (
            <Row key={endpoint.id} kind={kind} endpoint={endpoint} mayTest={mayTest} />
          ))}
        </tbody>
      </table>
    </Paper>
  );
}

function Row({ kind, endpoint, mayTest }: { kind: EndpointKind; endpoint: EndpointOverview; mayTest: boolean }) {
  const testing = useMutation({ mutationFn: () => check(kind, endpoint.id), onError: notifyError });
  return (
    <tr role="row" className={`${styles.row} ${classes.row}`} data-row={endpoint.id}>
      <td role="cell" className={classes.name}>
        <div className={classes.named}>
          <ConnectorIcon type={endpoint.type} name={endpoint.connectorName} svg={endpoint.icon} size={28} />
          <a href={`/${kind}s/${endpoint.id}`} className={styles.link} title={endpoint.name.length > 60 ? endpoint.name : undefined}>
            {endpoint.name}
          </a>
        </div>
      </td>
      <td role="cell" className={classes.detail}>
        {endpoint.connectorName}
      </td>
      <td role="cell" className={`numbers ${classes.detail}`}>
        {endpoint.connections ? (
          plural(endpoint.connections, '{count} connection', '{count} connections')
        ) : (
          <span className={styles.dim}>{t('No connection')}</span>
        )}
      </td>
      <td role="cell" className={classes.detail}>
        <LastTest check={endpoint.lastCheck} />
      </td>
      <td role="cell" className={`${styles.medium} ${styles.dim} ${classes.created}`}>
        <Time ms={endpoint.createdAtMs} />
      </td>
      <td role="cell" className={`${styles.wide} ${classes.owner}`}>
        {endpoint.owner && endpoint.owner !== ANONYMOUS && (
          <span className={`${styles.clipped} ${styles.dim}`} title={t('Created by {owner}', { owner: endpoint.owner })}>
            {endpoint.owner}
          </span>
        )}
      </td>
      <td role="cell" className={classes.action}>
        {mayTest && (
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<IconPlugConnected size={14} aria-hidden />}
            aria-label={t('Test {name}', { name: endpoint.name })}
            loading={testing.isPending}
            onClick={() => testing.mutate()}
          >
            {t('Test')}
          </Button>
        )}
      </td>
    </tr>
  );
}
