import { isMailbox } from './names.ts';
import { splunkLookup } from './splunk-lookup.ts';

export const splunkEmail = splunkLookup({
  name: 'splunk-email',
  title: 'senders of e-mail for Splunk Enterprise Security, `email_intel`',
  readers: 'Splunk Enterprise Security; the address is the sender, `src_user`',
  types: ['email'],
  columns: ['description', 'src_user', 'subject', 'weight'],
  cellsOf: ({ value }) => (isMailbox(value) ? { src_user: value } : null),
});
