/** A conversation with a destination: questions are sent, and answers shown as they come. */
import { useCallback, useEffect, useRef, useState } from 'react';

import { api, ApiError, OWN } from '../api/client';
import { eventsOf } from '../api/events';
import { t } from '../text';
import { historyOf, newTurn, type Turn, withEvent } from './answer';

/** What is asked beside the question. */
export interface AskOptions {
  stream?: string;
  where?: unknown;
}

export function useConversation(destinationId: string) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const abort = useRef<AbortController | null>(null);

  const stop = useCallback(() => abort.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const ask = useCallback(
    async (question: string, options: AskOptions) => {
      stop();
      const controller = new AbortController();
      abort.current = controller;
      const history = historyOf(turns);
      let turn = newTurn(question);
      const show = () => {
        if (abort.current === controller) setTurns([...turns, turn]);
      };
      show();
      try {
        const response = await api.open(`${OWN}/destinations/${destinationId}/ask/events`, { question, history, ...options }, controller.signal);
        for await (const event of eventsOf(response.body!)) {
          if (event.event === 'end') throw new ApiError(0, String(event.error), String(event.hint ?? ''));
          turn = withEvent(turn, event);
          show();
        }
        if (turn.answer === null) throw new ApiError(0, t('The answer broke off before its end'), t('Ask again.'));
        turn = { ...turn, running: false };
      } catch (error) {
        turn = { ...turn, running: false, error: controller.signal.aborted ? new ApiError(0, t('The answer was stopped')) : error };
      }
      show();
    },
    [destinationId, stop, turns],
  );

  const clear = useCallback(() => {
    stop();
    abort.current = null;
    setTurns([]);
  }, [stop]);

  return { turns, ask, stop, clear, running: turns.at(-1)?.running ?? false };
}
