using Collective.Protocol;

namespace Collective.Transport.InMemory;

/// <summary>The network of peers that live in one process: for tests and simulation. It can refuse links, and a transport can break its own.</summary>
internal sealed class InMemoryHub
{
    // Guards the fields below and what the transports know of each other; held for a few instructions, never while a segment moves or an event is told.
    private readonly Lock _gate = new();
    private readonly Dictionary<ushort, InMemoryTransport> _transports = [];
    private readonly HashSet<(PeerId From, PeerId To)> _refused = [];
    private ushort _lastPort;

    public Lock Gate => _gate;

    /// <summary>Bytes a second that every probe measures.</summary>
    public ulong Rate { get; init; } = 1_000_000;

    /// <summary>A new peer's transport, reached at its port.</summary>
    public InMemoryTransport Open(ITransportEvents events)
    {
        lock (_gate)
        {
            var transport = new InMemoryTransport(this, ++_lastPort, events);
            _transports.Add(transport.Port, transport);
            return transport;
        }
    }

    /// <summary>From now on links of this direction cannot be made (those that stand go on).</summary>
    public void Refuse(PeerId from, PeerId to)
    {
        lock (_gate)
        {
            _refused.Add((from, to));
        }
    }

    public void Allow(PeerId from, PeerId to)
    {
        lock (_gate)
        {
            _refused.Remove((from, to));
        }
    }

    /// <summary>Who listens at a port; call with the gate held.</summary>
    public InMemoryTransport? Find(PeerId from, Member to) => _refused.Contains((from, to.Id)) ? null : _transports.GetValueOrDefault(to.Address.Port);

    /// <summary>Call with the gate held.</summary>
    public void Remove(InMemoryTransport transport) => _transports.Remove(transport.Port);
}
