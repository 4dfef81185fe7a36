/** The language of manifests, loaded once. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { api, OWN } from '../../api/client';
import { Language, type LanguageData } from '../document/language';

const languageQuery = queryOptions({
  queryKey: ['builder', 'language'],
  queryFn: () => api.get<LanguageData>(`${OWN}/builder/language`),
  staleTime: Infinity,
  gcTime: Infinity,
});

/** Undefined until it is loaded. */
export function useLanguage(): Language | undefined {
  const { data } = useQuery(languageQuery);
  return useMemo(() => data && new Language(data), [data]);
}
