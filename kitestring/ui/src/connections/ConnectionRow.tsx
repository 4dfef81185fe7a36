/** One connection in the list: plain elements, and no menu of its own. */
import { lazy, memo, Suspense } from 'react';

import type { ConnectionOverview } from '../api/schema.gen';
import { ConnectorIcon } from '../catalog/ConnectorIcon';
import { Glyph } from '../list/Glyph';
import styles from '../list/list.module.css';
import { Tags } from '../list/Tags';
import { ANONYMOUS } from '../session/anonymous';
import { StatusBadge } from '../shell/StatusBadge';
import { useNow } from '../shell/Time';
import { t } from '../text';
import { freshnessOf } from './freshness';
import { syncFigures, SyncTime } from './LastSync';
import { ACTIVE, conditionOf, isDoubtful } from './overviews';
import { inWords } from './schedule';

const SyncProgress = lazy(() => import('../job/SyncProgress').then((all) => ({ default: all.SyncProgress })));

export interface Rights {
  run: boolean;
  edit: boolean;
}

/** What a row asks its list to do. */
export interface RowHandlers {
  select: (connection: ConnectionOverview, selected: boolean, range: boolean) => void;
  run: (connection: ConnectionOverview, action: 'sync' | 'cancel') => void;
  menu: (connection: ConnectionOverview, button: HTMLElement) => void;
}

export const ConnectionRow = memo(function ConnectionRow({
  connection,
  rights,
  selected,
  busy,
  handlers,
}: {
  connection: ConnectionOverview;
  rights: Rights;
  selected: boolean;
  busy: boolean;
  handlers: RowHandlers;
}) {
  const { name, job } = connection;
  const running = job !== null && ACTIVE.includes(job.status);
  const paused = connection.status !== 'active';
  const reason = paused ? connection.statusReason : job?.status === 'failed' ? job.error?.message : undefined;
  return (
    <tr role="row" className={styles.row} data-row={connection.connectionId} data-selected={selected || undefined} aria-selected={selected}>
      <td role="cell" className={styles.check}>
        {rights.run && (
          <input
            type="checkbox"
            aria-label={t('Select {name}', { name })}
            checked={selected}
            onChange={(event) => handlers.select(connection, event.currentTarget.checked, (event.nativeEvent as MouseEvent).shiftKey)}
          />
        )}
      </td>
      <td role="cell" className={styles.name}>
        <a href={`/connections/${connection.connectionId}`} className={styles.link} title={name.length > 60 ? name : undefined}>
          {name}
        </a>
        <div className={`${styles.ends} ${styles.dim}`}>
          <ConnectorIcon type={connection.source.connector} name={connection.source.name} size={16} />
          <span>{connection.source.name}</span>
          <Glyph name="arrow" label={t('to')} />
          <ConnectorIcon type={connection.destination.connector} name={connection.destination.name} size={16} />
          <span>{connection.destination.name}</span>
        </div>
      </td>
      <td role="cell">
        <StatusBadge status={conditionOf(connection)} />
        {isDoubtful(connection) && <StatusBadge status="suspicious" />}
        {reason && (
          <span className={`${styles.clipped} ${styles.dim}`} title={reason}>
            {reason}
          </span>
        )}
      </td>
      <td role="cell" className="numbers">
        {job && running && (
          <Suspense fallback={<SyncTime job={job} />}>
            <SyncProgress job={job} compact />
          </Suspense>
        )}
        {job && !running && (
          <>
            <span className={styles.label}>{t('Last sync')} </span>
            <SyncTime job={job} />
            <div className={job.figures.superseded ? styles.dim : `${styles.clipped} ${styles.dim}`} title={syncFigures(job)}>
              {syncFigures(job, true)}
            </div>
          </>
        )}
      </td>
      <td role="cell" className={styles.narrow}>
        <Fresh connection={connection} running={running} />
      </td>
      <td role="cell" className={styles.medium}>
        <Tags tags={connection.tags} />
      </td>
      <td role="cell" className={styles.wide}>
        {connection.owner && connection.owner !== ANONYMOUS && (
          <span className={`${styles.clipped} ${styles.dim}`} title={t('Created by {owner}', { owner: connection.owner })}>
            {connection.owner}
          </span>
        )}
      </td>
      <td role="cell" className={styles.actions}>
        {rights.run && (
          <button
            type="button"
            className={styles.action}
            disabled={busy || (running ? job.cancelRequested : paused)}
            title={running ? t('Cancel') : t('Sync now')}
            aria-label={running ? t('Cancel the job of {name}', { name }) : t('Sync {name} now', { name })}
            onClick={() => handlers.run(connection, running ? 'cancel' : 'sync')}
          >
            <Glyph name={running ? 'stop' : 'sync'} />
          </button>
        )}
        {rights.edit && (
          <button
            type="button"
            className={styles.action}
            aria-haspopup="menu"
            aria-label={t('Actions for {name}', { name })}
            onClick={(event) => handlers.menu(connection, event.currentTarget)}
          >
            <Glyph name="dots" />
          </button>
        )}
      </td>
    </tr>
  );
});

function Fresh({ connection, running }: { connection: ConnectionOverview; running: boolean }) {
  const { age, late } = freshnessOf(connection, running, useNow());
  return (
    <>
      {age && (
        <div className="numbers">
          <span className={styles.label}>{t('Freshness')} </span>
          {age}
        </div>
      )}
      <div className={styles.dim}>{inWords(connection.schedule)}</div>
      {late && <div className={`${styles.dim} ${styles.overdue}`}>{t('The next sync is late')}</div>}
    </>
  );
}
