/** Says that the server does not answer, above the page that stays as it is. */
import { Loader } from '@mantine/core';

import { useServerAnswers } from '../api/online';
import { t } from '../text';
import styles from './OfflineBanner.module.css';

export function OfflineBanner() {
  const answers = useServerAnswers();
  return (
    <div role="status">
      {!answers && (
        <div className={styles.banner}>
          <Loader size={14} color="currentColor" aria-hidden />
          <span>
            <b>{navigator.onLine ? t('The server does not answer.') : t('This device is offline.')}</b>{' '}
            {t('This page may be out of date. Your input is not lost. Trying again …')}
          </span>
        </div>
      )}
    </div>
  );
}
