/** A column's header that sorts the list. Pressed again, it reverses the order. */
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';

import styles from './list.module.css';

export function SortHeader({
  label,
  by,
  order,
  onSort,
  className,
  descending = false,
}: {
  label: string;
  /** What the server calls the column. */
  by: string;
  /** The order of the list: `name`, or `-name` for the reverse. */
  order: string;
  onSort: (order: string) => void;
  className?: string;
  /** Whether the highest value is first when the column is first chosen. */
  descending?: boolean;
}) {
  const sorted = order.replace(/^-/, '') === by;
  const reversed = sorted ? order.startsWith('-') : descending;
  const Arrow = reversed ? IconArrowDown : IconArrowUp;
  return (
    <th role="columnheader" scope="col" className={className} aria-sort={sorted ? (reversed ? 'descending' : 'ascending') : undefined}>
      <button
        type="button"
        className={styles.sort}
        data-sorted={sorted || undefined}
        onClick={() => onSort((sorted ? !reversed : descending) ? `-${by}` : by)}
      >
        {label}
        <Arrow size={14} aria-hidden />
      </button>
    </th>
  );
}
