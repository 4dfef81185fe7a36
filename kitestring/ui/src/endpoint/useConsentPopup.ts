/** Opens the vendor's page of an OAuth consent in a popup, and listens for its result. */
import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';

import type { ConsentRead } from '../api/schema.gen';
import { CONSENT_CHANNEL, type ConsentResult } from './consentChannel';

/** `begin`: ask the server for the address; `onDone`: what to do with the result. */
export function useConsentPopup(begin: (redirectUrl: string) => Promise<ConsentRead>, onDone: (result: ConsentResult) => void) {
  const [started, setStarted] = useState(false);
  const latest = useRef(onDone);
  latest.current = onDone;
  useEffect(() => {
    // Every page of this browser receives the message: only the page that started the consent uses it.
    if (!started) return;
    const channel = new BroadcastChannel(CONSENT_CHANNEL);
    channel.onmessage = (event: MessageEvent<ConsentResult>) => latest.current(event.data);
    return () => channel.close();
  }, [started]);
  return useMutation({
    mutationFn: async () => {
      setStarted(true);
      // Opened before any await: browsers allow a popup from a click, not from a response.
      const popup = window.open('', '_blank', 'popup,width=720,height=820');
      try {
        const { consentUrl } = await begin(`${window.location.origin}/consented`);
        if (popup) popup.location.href = consentUrl;
        else window.location.href = consentUrl;
      } catch (error) {
        popup?.close();
        throw error;
      }
    },
  });
}
