/** The broadcast channel on which the consent popup reports its result to the page that opened it. */
export const CONSENT_CHANNEL = 'kitestring.consented';
