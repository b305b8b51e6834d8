package bootstrap

import (
	"fmt"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	downstreamconnectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

var (
	overloadFields = map[protoreflect.Name]string{
		"resource_monitors": handled, "refresh_interval": noOverload, "actions": noOverload, "loadshed_points": noOverload,
		"buffer_factory_config": noOverload,
	}
	monitorFields           = map[protoreflect.Name]string{"name": handled, "typed_config": handled}
	connectionMonitorFields = map[protoreflect.Name]string{"max_active_downstream_connections": handled}
)

// overload decodes the overload manager, of which the limit on connections is all that there is.
func (d *decoder) overload(m *overloadv3.OverloadManager) {
	if m == nil {
		return
	}
	d.fields("overload_manager", m, overloadFields)
	for i, monitor := range m.GetResourceMonitors() {
		path := fmt.Sprintf("overload_manager.resource_monitors[%d]", i)
		d.fields(path, monitor, monitorFields)
		var connections downstreamconnectionsv3.DownstreamConnectionsConfig
		if !monitor.GetTypedConfig().MessageIs(&connections) {
			d.warnf(path, "%q %s", monitor.GetName(), noOverload)
			continue
		}
		path += ".typed_config"
		if err := monitor.GetTypedConfig().UnmarshalTo(&connections); err != nil {
			d.errorf(path, "%v", err)
			continue
		}
		d.add(resource.Validate(path, &connections))
		d.fields(path, &connections, connectionMonitorFields)
		d.out.MaxConnections = uint64(max(connections.GetMaxActiveDownstreamConnections(), 0))
	}
}
