/** The foot of a list: which rows of how many are shown, and the other pages. */
import { count } from '../shell/format';
import { useExistingPage } from '../shell/useExistingPage';
import { t } from '../text';
import styles from './list.module.css';

export function Pages({
  total,
  size,
  page,
  noun,
  onPage,
}: {
  total: number;
  /** Rows on a page. */
  size: number;
  page: number;
  /** The number with its noun: “312 connections”. */
  noun: string;
  onPage: (page: number) => void;
}) {
  const pages = Math.max(1, Math.ceil(total / size));
  useExistingPage(page, total > 0 ? pages : undefined, onPage);
  if (total === 0) return null;
  const current = Math.min(page, pages);
  const first = (current - 1) * size + 1;
  const near = [...new Set([1, current - 1, current, current + 1, pages])].filter((number) => number >= 1 && number <= pages);
  return (
    <div className={styles.pages}>
      <span role="status" className="numbers">
        {pages > 1 ? t('{first} to {last} of {noun}', { first, last: Math.min(total, first + size - 1), noun }) : noun}
      </span>
      {pages > 1 && (
        <nav aria-label={t('Pages')}>
          <button type="button" aria-label={t('Previous page')} disabled={current === 1} onClick={() => onPage(current - 1)}>
            ‹
          </button>
          {near.map((number, place) => (
            <span key={number}>
              {place > 0 && number > near[place - 1]! + 1 && <span aria-hidden>… </span>}
              <button
                type="button"
                className="numbers"
                aria-label={t('Page {number}', { number })}
                aria-current={number === current ? 'page' : undefined}
                onClick={() => onPage(number)}
              >
                {count(number)}
              </button>
            </span>
          ))}
          <button type="button" aria-label={t('Next page')} disabled={current === pages} onClick={() => onPage(current + 1)}>
            ›
          </button>
        </nav>
      )}
    </div>
  );
}
