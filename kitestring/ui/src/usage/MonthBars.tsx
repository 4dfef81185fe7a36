/** A measure by month as bars, with the numbers as texts. */
import { useEffect, useRef } from 'react';

import { t } from '../text';
import styles from './usage.module.css';
import { type Measure, monthText, valueText } from './usage';

export function MonthBars({ months, values, measure, label }: { months: string[]; values: number[]; measure: Measure; label: string }) {
  const most = Math.max(...values, 0) || 1;
  const list = useRef<HTMLOListElement>(null);
  // The newest month is in sight where the list is wider than the page.
  useEffect(() => {
    // In braces: browsers give a promise, which is no function that ends the effect.
    list.current?.scrollTo({ left: list.current.scrollWidth });
  }, [months.length]);
  // The list scrolls on a phone: the keyboard has to reach it.
  return (
    <ol ref={list} className={styles.bars} tabIndex={0} aria-label={t('{measure} by month', { measure: label })}>
      {months.map((month, place) => {
        const value = values[place] ?? 0;
        return (
          <li key={month}>
            <span className={`${styles.value} numbers`}>{valueText(measure, value, true)}</span>
            <span className={styles.column} aria-hidden>
              <span style={{ height: `${Math.max((value / most) * 100, value > 0 ? 2 : 0)}%` }} />
            </span>
            <span className={styles.month}>{monthText(month)}</span>
          </li>
        );
      })}
    </ol>
  );
}

/** The course of a row: as many bars as months. The numbers stand beside it. */
export function Spark({ values }: { values: number[] }) {
  const most = Math.max(...values, 0) || 1;
  const width = 100 / values.length;
  return (
    <svg viewBox="0 0 100 24" width={100} height={24} preserveAspectRatio="none" aria-hidden className={styles.spark}>
      {values.map((value, place) => {
        const height = Math.max((value / most) * 24, value > 0 ? 1.5 : 0.5);
        return <rect key={place} x={place * width + 0.8} y={24 - height} width={width - 1.6} height={height} fill="currentColor" />;
      })}
    </svg>
  );
}
