/** Short messages at the edge of the page; screen readers hear them too. */
import { CloseButton } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';

import { t } from '../text';
import { closeToast, useToasts } from './toasts';
import styles from './Toasts.module.css';

export function Toasts() {
  const toasts = useToasts();
  return (
    <div className={styles.area} aria-live="polite" role="region" aria-label={t('Messages')}>
      {toasts.map((toast) => (
        <div key={toast.id} className={styles.toast} data-tone={toast.tone} role={toast.tone === 'error' ? 'alert' : undefined}>
          {toast.tone === 'error' ? <IconAlertTriangle size={20} aria-hidden /> : <IconCircleCheck size={20} aria-hidden />}
          <div className={styles.text}>
            <div className={styles.title}>{toast.title}</div>
            {toast.hint && <div>{toast.hint}</div>}
          </div>
          <CloseButton size="sm" aria-label={t('Close')} onClick={() => closeToast(toast.id)} />
        </div>
      ))}
    </div>
  );
}
