/** The broadcast channel on which the consent popup reports its result to the page that opened it. */
export const CONSENT_CHANNEL = 'kitestring.consented';

/** The result of a consent: a secret for a new source, or the builder project that has the tokens now. */
export interface ConsentResult {
  secretId?: string;
  projectId?: string;
}
