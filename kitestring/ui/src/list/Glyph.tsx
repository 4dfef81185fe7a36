/** Drawings of the rows of a list: one path each, and what they share is in the style. Hundreds of larger icons cost time. */
import styles from './list.module.css';

const PATHS = {
  arrow: 'M5 12h14m-6-6 6 6-6 6',
  dots: 'M12 5v.01M12 12v.01M12 19v.01',
  stop: 'M5 7a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2z',
  sync: 'M20 11A8.1 8.1 0 0 0 4.5 9M4 5v4h4m-4 4a8.1 8.1 0 0 0 15.5 2m.5 4v-4h-4',
};

export function Glyph({ name, label }: { name: keyof typeof PATHS; label?: string }) {
  return (
    <svg className={styles.glyph} viewBox="0 0 24 24" data-glyph={name} role={label && 'img'} aria-label={label} aria-hidden={label ? undefined : true}>
      <path d={PATHS[name]} />
    </svg>
  );
}
