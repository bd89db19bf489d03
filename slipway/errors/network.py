"""The errors of the network service: Neutron's names, and Nova's for what it checks itself."""

from __future__ import annotations

from slipway.errors.base import AbortBuild, RescheduleBuild, SlipwayError, TransientError

# --- networks: Neutron's names ------------------------------------------------------------------------------------


class NetworkError(SlipwayError):
    """The root of the network service's errors; `status` is the HTTP status that Neutron gives."""

    status = 500


class TransientNetworkError(NetworkError, TransientError):
    """The network service failed in a way that may pass."""

    status = 503


class BadRequest(NetworkError, AbortBuild):
    """The request is wrong in itself."""

    status = 400


class NotFound(NetworkError, AbortBuild):
    """What the request names is not there, or belongs to another project."""

    status = 404


class Conflict(NetworkError, AbortBuild):
    """The request clashes with what is there."""

    status = 409


class HTTPBadRequest(BadRequest):
    """An attribute is of the wrong type or form."""


class InvalidInput(BadRequest):
    """The attributes make no sense together."""


class Forbidden(NetworkError, AbortBuild):
    """The project may not do this."""

    status = 403


class PolicyNotAuthorized(Forbidden):
    """An attribute or a call is for administrators only."""


class HTTPForbidden(Forbidden):
    """A port or subnet is asked for on a network that is seen, but neither one's own nor shared."""


class HTTPNotImplemented(NetworkError, AbortBuild):
    """The network driver that is installed cannot do this."""

    status = 501


class RevisionNumberConstraintFailed(TransientNetworkError):
    """The port is no longer as it was when it was looked at; whoever wants to change it must look again."""

    status = 412


class NoUniqueMatch(Conflict):
    """Several things have the name; an id says which is meant."""


class HTTPNotFound(NotFound):
    """What another project's network is when the request would hide it."""


class NetworkNotFound(NotFound):
    """No such network."""


class SubnetNotFound(NotFound):
    """No such subnet."""


class PortNotFound(NotFound):
    """No such port."""


class PortBindingNotFound(NotFound):
    """The port is not bound to this host."""


class SecurityGroupNotFound(NotFound):
    """No such security group."""


class SecurityGroupRuleNotFound(NotFound):
    """No such security group rule."""


class InvalidIpForNetwork(BadRequest):
    """The address lies in none of the network's subnets."""


class InvalidIpForSubnet(BadRequest):
    """The address does not lie in the subnet, or is its network or broadcast address."""


class AllocationOnAutoAddressSubnet(InvalidInput):
    """An address was asked for on a subnet whose addresses come from the MAC."""


class InvalidSubnetServiceType(InvalidInput):
    """A subnet's service type is none of a device owner's forms."""


class InvalidInputSubnetServiceType(InvalidInput):
    """A subnet's service type is not a string."""


class InvalidAllocationPool(BadRequest):
    """The allocation pool is no range of addresses of the subnet's IP version."""


class OutOfBoundsAllocationPool(BadRequest):
    """The allocation pool reaches beyond the subnet's addresses."""


class DNSNameServersExhausted(BadRequest):
    """The subnet has too many name servers."""


class HostRoutesExhausted(BadRequest):
    """The subnet has too many host routes."""


class AllowedAddressPairExhausted(BadRequest):
    """The port has too many allowed address pairs."""


class AllowedAddressPairsMissingIP(InvalidInput):
    """An allowed address pair has no IP address."""


class DuplicateAddressPairInRequest(InvalidInput):
    """An allowed address pair is named twice."""


class PortSecurityAndIPRequiredForSecurityGroups(InvalidInput):
    """The port has security groups, but not the port security that they need."""


class SecurityGroupRuleInvalidEtherType(InvalidInput):
    """The rule's ethertype is neither IPv4 nor IPv6."""


class SecurityGroupRuleInvalidProtocol(InvalidInput):
    """The rule's protocol is no known name and no number of 0 to 255."""


class SecurityGroupProtocolRequiredWithPorts(InvalidInput):
    """The rule has ports, but no protocol."""


class SecurityGroupInvalidPortValue(InvalidInput):
    """The rule's port is no number of 1 to 65535."""


class SecurityGroupInvalidPortRange(InvalidInput):
    """The rule's ports lack an end, or the first is above the last."""


class SecurityGroupInvalidProtocolForPort(InvalidInput):
    """The rule has ports, which its protocol has not."""


class SecurityGroupInvalidIcmpValue(InvalidInput):
    """The rule's ICMP type or code is above 255."""


class SecurityGroupMissingIcmpType(InvalidInput):
    """The rule has an ICMP code, but no type."""


class SecurityGroupEthertypeConflictWithProtocol(InvalidInput):
    """The rule's protocol is one of IPv6, its ethertype IPv4."""


class SecurityGroupRuleParameterConflict(InvalidInput):
    """The rule's prefix is not of the IP version of its ethertype."""


class SecurityGroupMultipleRemoteEntites(InvalidInput):
    """The rule has both a prefix and a remote group. Neutron's spelling."""


class InvalidCIDR(BadRequest):
    """The rule's prefix is no CIDR."""


class UnsupportedPortDeviceOwner(Conflict):
    """The port's device owner does not allow this."""


class IpAddressInUse(Conflict):
    """The address is taken."""


class IpAddressAlreadyAllocated(IpAddressInUse):
    """The address that was asked for is taken. Neutron's name of today."""


class IpamValueInvalid(Conflict):
    """A subnet's address, such as the default gateway, cannot be what it is to be."""


class DeviceIDNotOwnedByTenant(Conflict):
    """The port would be that of a router which is not the project's."""


class GatewayConflictWithAllocationPools(Conflict):
    """The gateway lies in an allocation pool."""


class OverlappingAllocationPools(Conflict):
    """Two allocation pools of a subnet overlap."""


class NetworkMTUSubnetConflict(Conflict):
    """The network's MTU is below what IPv6 needs."""


class PortBound(Conflict):
    """The port is bound, so its MAC address stays."""


class PortBindingError(NetworkError):
    """The port could not be bound to one more host."""


class PortBindingAlreadyExists(Conflict):
    """The port is bound to this host already."""


class PortBindingAlreadyActive(Conflict):
    """The port's binding to this host is the one that counts already."""


class InvalidSharedSetting(Conflict):
    """Other projects use the shared network, so it stays shared."""


class NetworkInUse(Conflict):
    """The network has ports."""


class SubnetInUse(Conflict):
    """Ports have addresses of the subnet."""


class VlanIdInUse(Conflict):
    """The VLAN is another network's."""


class FlatNetworkInUse(Conflict):
    """The physical network is another flat network's."""


class TunnelIdInUse(Conflict):
    """The VNI is another network's."""


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port security cannot be switched off while the port has security groups."""


class AddressPairAndPortSecurityRequired(Conflict):
    """Allowed address pairs need port security."""


class SecurityGroupInUse(Conflict):
    """Ports use the security group, or it is the project's default one."""


class SecurityGroupCannotRemoveDefault(SecurityGroupInUse):
    """The project's default security group stays."""


class SecurityGroupCannotUpdateDefault(SecurityGroupInUse):
    """The project's default security group keeps its name."""


class SecurityGroupDefaultAlreadyExists(Conflict):
    """The default security group is there already, and may not be made by hand."""


class SecurityGroupRuleExists(Conflict):
    """The security group has this rule already."""


class MechanismDriverError(NetworkError, RescheduleBuild):
    """A mechanism driver failed; what it was told about was taken back."""


class FixedIpAlreadyInUse(IpAddressInUse):
    """The address that the instance asked for is taken. Nova's name."""


class MacAddressInUse(Conflict):
    """The MAC address is taken in this network."""


class IpAddressGenerationFailure(Conflict):
    """No address is left in the network's pools."""


class IpAddressGenerationFailureNoMatchingSubnet(IpAddressGenerationFailure):
    """The network has subnets, but none for ports of this device owner."""


class NoMoreFixedIps(IpAddressGenerationFailure):
    """No address is left for the instance. Nova's name."""


class MacAddressGenerationFailure(NetworkError, AbortBuild):
    """No free MAC address was found in the number of tries that is allowed."""

    status = 503


class NoNetworkAvailable(NetworkError, AbortBuild):
    """No VLAN or VNI is left."""

    status = 503


class OverQuota(Conflict):
    """The project's quota is used up."""


class PortLimitExceeded(OverQuota):
    """The project may have no more ports. Nova's name."""


# --- networks: Nova's names, for what it checks itself -------------------------------------------------------------


class NetworkAmbiguous(AbortBuild):
    """Nothing was asked for and the project may use several networks."""


class PortInUse(Conflict):
    """The port that was brought along is in use."""


class PortNotUsable(AbortBuild):
    """The port that was brought along cannot be used by this instance."""


class PortNotFree(AbortBuild):
    """None of the hypervisor's MAC addresses is left."""


class PortRequiresFixedIP(AbortBuild):
    """The port that was brought along has no address."""


class PortBindingFailed(RescheduleBuild):
    """The port could not be bound to this host."""


class SecurityGroupCannotBeApplied(AbortBuild):
    """Security groups need a network with a subnet and with port security."""


class ExternalNetworkAttachForbidden(AbortBuild):
    """An instance may not be attached to this external network."""


class FixedIpInvalidOnHost(AbortBuild):
    """The address does not fit the host's segment. Nova: not rescheduled."""
