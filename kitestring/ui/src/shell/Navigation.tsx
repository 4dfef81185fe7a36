/** The menu of all places: beside the page, or over it on a phone. */
import { Link, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

import { t } from '../text';
import { Kite } from './Kite';
import { PLACES } from './navigation';
import styles from './shell.module.css';

export function Navigation({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const isCurrent = (to: string) => path === to || path.startsWith(`${to}/`);
  const element = useRef<HTMLElement>(null);
  useEffect(() => {
    if (opened) element.current?.querySelector<HTMLElement>('[aria-current], a')?.focus();
  }, [opened]);
  return (
    <>
      <button type="button" className={styles.veil} data-opened={opened || undefined} tabIndex={-1} aria-hidden onClick={onClose} />
      <nav
        ref={element}
        id="navigation"
        className={styles.rail}
        data-opened={opened || undefined}
        aria-label={t('Main')}
        onKeyDown={(event) => event.key === 'Escape' && onClose()}
      >
        <svg className={styles.string} viewBox="0 0 224 190" fill="none" preserveAspectRatio="none" aria-hidden focusable="false">
          <path d="M-6 186C70 176 96 150 120 108S176 30 232 8" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
        </svg>
        <Link to="/connections" className={styles.brand} aria-label="Kitestring" onClick={onClose}>
          <Kite />
          <span>Kitestring</span>
        </Link>
        <ul className={styles.places}>
          {PLACES.map((place) => (
            <li key={place.to}>
              <Link to={place.to} className={styles.place} aria-current={isCurrent(place.to) ? 'page' : undefined} onClick={onClose}>
                <place.icon size={19} stroke={1.7} aria-hidden />
                {place.label()}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
    </>
  );
}
