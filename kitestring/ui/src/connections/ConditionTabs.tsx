/** How many connections are in each condition; each is a link that shows them. */
import { getRouteApi } from '@tanstack/react-router';

import type { ConnectionCounts } from '../api/schema.gen';
import { statusWord } from '../shell/StatusBadge';
import { count } from '../shell/format';
import { t } from '../text';
import styles from './connections.module.css';
import { CONDITIONS } from './overviews';

const route = getRouteApi('/shell/connections');

export function ConditionTabs({ counts, chosen }: { counts: ConnectionCounts | undefined; chosen: string | undefined }) {
  const navigate = route.useNavigate();
  const router = route.useSearch();
  const show = (condition: string | undefined) =>
    void navigate({ search: (previous) => ({ ...previous, condition, page: undefined }) });
  const conditions = CONDITIONS.filter((condition) => condition === chosen || (counts?.conditions[condition] ?? 0) > 0);
  const address = (condition: string | undefined) => {
    const { condition: _, page: __, ...rest } = router;
    const parameters = new URLSearchParams(Object.entries({ ...rest, ...(condition && { condition }) }).map(([name, value]) => [name, String(value)]));
    return `/connections${parameters.size ? `?${parameters}` : ''}`;
  };
  return (
    <nav className={styles.conditions} aria-label={t('Status')}>
      {[undefined, ...conditions].map((condition) => (
        <a
          key={condition ?? ''}
          href={address(condition)}
          aria-current={condition === chosen ? 'true' : undefined}
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            show(condition);
          }}
        >
          {condition ? statusWord(condition) : t('All')}
          <span className="numbers">{counts ? count(condition ? (counts.conditions[condition] ?? 0) : counts.total) : '…'}</span>
        </a>
      ))}
    </nav>
  );
}
