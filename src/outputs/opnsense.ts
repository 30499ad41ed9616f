import { addressList } from './addresses.ts';

export const opnsense = addressList({
  name: 'opnsense',
  title: 'OPNsense alias of type URL Table (IPs)',
  readers:
    'OPNsense; lines that begin with a space, comma, semicolon, pipe or # are passed over; the table has to be as large (Firewall Maximum Table Entries)',
  comment: '#',
});
