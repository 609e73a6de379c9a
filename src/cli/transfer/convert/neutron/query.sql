-- What addrd takes over from Neutron's database, as one JSON object a row. Reads only, at one moment.
-- MySQL 5.7.8, MariaDB 10.2.3 or SQLite 3.38, or newer; tables as of Neutron 13 (Rocky) or newer.
--   mysql --batch --raw --skip-column-names --quick --default-character-set=utf8mb4 neutron
--   sqlite3 neutron.sqlite
BEGIN;
SELECT JSON_OBJECT('table', 'neutron', 'version', 1);
SELECT JSON_OBJECT('table', 'address_scopes', 'id', id, 'project_id', project_id, 'name', name,
  'ip_version', ip_version) FROM address_scopes ORDER BY id;
SELECT JSON_OBJECT('table', 'addressscoperbacs', 'object_id', object_id, 'target', target_project,
  'action', action) FROM addressscoperbacs;
SELECT JSON_OBJECT('table', 'subnetpools', 'id', id, 'project_id', project_id, 'name', name,
  'ip_version', ip_version, 'default_prefixlen', default_prefixlen, 'min_prefixlen', min_prefixlen,
  'max_prefixlen', max_prefixlen, 'is_default', is_default, 'default_quota', default_quota,
  'address_scope_id', address_scope_id) FROM subnetpools ORDER BY standard_attr_id;
SELECT JSON_OBJECT('table', 'subnetpoolrbacs', 'object_id', object_id, 'target', target_project,
  'action', action) FROM subnetpoolrbacs;
SELECT JSON_OBJECT('table', 'subnetpoolprefixes', 'subnetpool_id', subnetpool_id, 'cidr', cidr)
  FROM subnetpoolprefixes;
SELECT JSON_OBJECT('table', 'networks', 'id', id, 'project_id', project_id, 'name', name)
  FROM networks ORDER BY id;
SELECT JSON_OBJECT('table', 'networkrbacs', 'object_id', object_id, 'target', target_project,
  'action', action) FROM networkrbacs;
SELECT JSON_OBJECT('table', 'networksegments', 'id', id, 'network_id', network_id, 'name', name)
  FROM networksegments ORDER BY standard_attr_id;
SELECT JSON_OBJECT('table', 'segmenthostmappings', 'segment_id', segment_id, 'host', host)
  FROM segmenthostmappings ORDER BY segment_id, host;
SELECT JSON_OBJECT('table', 'subnets', 'id', id, 'network_id', network_id, 'name', name,
  'segment_id', segment_id, 'subnetpool_id', subnetpool_id, 'cidr', cidr, 'gateway_ip', gateway_ip,
  'enable_dhcp', enable_dhcp, 'ipv6_ra_mode', ipv6_ra_mode, 'ipv6_address_mode', ipv6_address_mode)
  FROM subnets ORDER BY standard_attr_id;
SELECT JSON_OBJECT('table', 'ipallocationpools', 'subnet_id', subnet_id, 'first_ip', first_ip,
  'last_ip', last_ip) FROM ipallocationpools;
SELECT JSON_OBJECT('table', 'dnsnameservers', 'subnet_id', subnet_id, 'address', address)
  FROM dnsnameservers ORDER BY subnet_id, `order`;
SELECT JSON_OBJECT('table', 'subnetroutes', 'subnet_id', subnet_id, 'destination', destination,
  'nexthop', nexthop) FROM subnetroutes ORDER BY subnet_id, destination, nexthop;
SELECT JSON_OBJECT('table', 'subnet_service_types', 'subnet_id', subnet_id,
  'service_type', service_type) FROM subnet_service_types ORDER BY subnet_id, service_type;
SELECT JSON_OBJECT('table', 'ports', 'id', id, 'project_id', project_id, 'network_id', network_id,
  'name', name, 'mac_address', mac_address, 'device_owner', device_owner,
  'ip_allocation', ip_allocation) FROM ports ORDER BY standard_attr_id;
SELECT JSON_OBJECT('table', 'ml2_port_bindings', 'port_id', port_id, 'host', host)
  FROM ml2_port_bindings WHERE status = 'ACTIVE' AND host <> '';
SELECT JSON_OBJECT('table', 'ipallocations', 'port_id', port_id, 'network_id', network_id,
  'subnet_id', subnet_id, 'ip_address', ip_address) FROM ipallocations;
SELECT JSON_OBJECT('table', 'end', 'ports', (SELECT COUNT(*) FROM ports),
  'ipallocations', (SELECT COUNT(*) FROM ipallocations));
COMMIT;
