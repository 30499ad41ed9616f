import { addressList } from './addresses.ts';

export const pfsense = addressList({
  name: 'pfsense',
  title: 'pfSense alias of type URL Table (IPs), and pfBlockerNG',
  readers: 'pfSense; the table has to be as large (Firewall Maximum Table Entries)',
  comment: '#',
});
