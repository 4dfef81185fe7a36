/** The channel on which the window of a consent tells the page that opened it how it ended. */
export const CONSENT_CHANNEL = 'kitestring.consented';
