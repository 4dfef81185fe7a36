/** One entry of the audit log: its sentence, with a link to what it is about, and its fields on demand. */
import { Code } from '@mantine/core';
import { memo, useState } from 'react';

import type { AuditEntry } from '../api/schema.gen';
import { Time } from '../shell/Time';
import { plural, t } from '../text';
import styles from './audit.module.css';
import { changesOf, NAME, sentenceOf, valueOf } from './auditSentence';

const LONGEST = 200;
/** How many values are shown at once. */
const VALUES_AT_ONCE = 100;
/** The address of the page that shows what an entry is about. */
const pageOf = (kind: string, id: string) => (kind === 'builder_project' ? `/builder/${id}` : `/${kind}s/${id}`);
const clipped = (value: unknown) => {
  const text = valueOf(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
};

export const AuditLine = memo(function AuditLine({ entry }: { entry: AuditEntry }) {
  const [opened, setOpened] = useState(false);
  const [values, setValues] = useState<number | null>(null);
  const [before = '', after] = sentenceOf(entry).split(NAME);
  const fields = Object.entries(entry.changes);
  const name = entry.subject || entry.resourceId;
  return (
    <li className={styles.line}>
      <div className={styles.sentence}>
        <span>
          {before}
          {after !== undefined && (entry.linkKind && entry.linkId ? <a href={pageOf(entry.linkKind, entry.linkId)}>{name}</a> : <strong>{name}</strong>)}
          {after}
        </span>
        <span className={styles.when}>
          <Time ms={Date.parse(entry.at)} />
        </span>
      </div>
      {fields.length > 0 && (
        <details onToggle={(event) => setOpened(event.currentTarget.open)}>
          <summary>{t('What changed')}</summary>
          {opened && (
            <>
              <ul className={styles.fields}>
                {changesOf(entry).map((change) => (
                  <li key={change}>{change}</li>
                ))}
              </ul>
              <details onToggle={(event) => setValues(event.currentTarget.open ? VALUES_AT_ONCE : null)}>
                <summary>{plural(fields.length, 'Show {count} value', 'Show all {count} values')}</summary>
                {values !== null && (
                  <ul className={styles.fields}>
                    {fields.slice(0, values).map(([path, [old, value]]) => (
                      <li key={path}>
                        <Code>
                          {path}: {entry.action === 'create' || entry.action === 'run' ? clipped(value) : `${clipped(old)} → ${clipped(value)}`}
                        </Code>
                      </li>
                    ))}
                    {fields.length > values && (
                      <li>
                        <button type="button" className={styles.values} onClick={() => setValues(values + VALUES_AT_ONCE)}>
                          {t('Show more')}
                        </button>
                      </li>
                    )}
                  </ul>
                )}
              </details>
              <div className={styles.when}>
                {t('{action} of the {kind} {id}', { action: entry.action, kind: entry.kind, id: entry.resourceId })}
              </div>
            </>
          )}
        </details>
      )}
    </li>
  );
});
