namespace Collective;

/// <summary>Numbers a communicator can be asked for. Values are those of the C ABI (<c>pcclAttribute_t</c>).</summary>
public enum CommunicatorAttribute
{
    /// <summary>Admitted peers over all groups.</summary>
    GlobalWorldSize = 1,
    /// <summary>Admitted peers of this peer's group.</summary>
    PeerGroupWorldSize = 2,
    /// <summary>Groups with at least one admitted peer.</summary>
    NumberOfDistinctPeerGroups = 3,
    /// <summary>Admitted peers of the largest group.</summary>
    LargestPeerGroupWorldSize = 4,
}
