/** Who acts while the server has no users. */
import { t } from '../text';

export const ANONYMOUS = 'anybody';

/** The name of who acted, for a sentence. */
export function actorName(actor: string): string {
  return actor === ANONYMOUS ? t('A user without sign-in') : actor;
}
