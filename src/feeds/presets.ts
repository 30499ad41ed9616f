/** Well-known feeds: a format and what it is told unless the configuration says otherwise. */
export const presets: Record<string, { format: string; options: Record<string, unknown> }> = {
  socdefenders: { format: 'socdefenders', options: { title: 'SOC Defenders' } },
};
