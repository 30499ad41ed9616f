/** An indicator of STIX 2.1 as a feed sends it; the number decides its id. */
export function stixIndicator<More extends object>(n: number, pattern: string, more: More = {} as More) {
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    created: '2025-12-01T00:00:00.000Z',
    modified: '2025-12-01T00:00:00.000Z',
    valid_from: '2025-12-01T00:00:00.000Z',
    pattern_type: 'stix',
    pattern,
    ...more,
  };
}
