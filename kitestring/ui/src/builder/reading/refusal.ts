/** What the answer that ended a test read says about the place to look at. */
import { t } from '../../text';
import type { Exchange, Reading } from './reading';

/** The exchange that ended a read: the last one of the last page, or the last one for a token or a parent. */
function lastExchange({ slices, other }: Reading): Exchange | undefined {
  const page = slices.at(-1)?.pages.at(-1);
  return page?.exchange ?? page?.attempts.at(-1) ?? other.at(-1);
}

/** Whether a vendor refused the credentials: in a request of the stream, or in one for a token. */
export function refusesCredentials(reading: Reading): boolean {
  const status = lastExchange(reading)?.status ?? 0;
  const before = reading.slices.every(({ pages }) => pages.length === 0);
  return reading.error !== '' && (status === 401 || status === 403 || (before && status >= 400));
}

/** What to do about the error of a read. While one builds, an address that does not exist is one of the form. */
export function hintOf(reading: Reading): string {
  return reading.error !== '' && lastExchange(reading)?.status === 404 ? t('Check the path of the stream and the address of the API, or what the credentials may read.') : reading.hint;
}
