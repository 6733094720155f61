using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>An attempt that at least one member has entered and that has no verdict. It may have several tensors, which members enter one by one, in any order; the verdict is one for all.</summary>
internal sealed class AttemptRecord(AttemptKey key, int tensors, PeerRecord first, int worldSize)
{
    private readonly TensorRecord?[] _tensors = new TensorRecord?[tensors];

    // By rank: tensors entered with, tensors that there are as the member says, and whether it has promised.
    private readonly ushort[] _enteredTensors = new ushort[worldSize];
    private readonly ushort[] _tensorsSaid = new ushort[worldSize];
    private readonly bool[] _promised = new bool[worldSize];
    private int _complete;

    public AttemptKey Key { get; } = key;

    public PeerRecord First { get; } = first;

    /// <summary>How many there are, as the first one said.</summary>
    public int Tensors => _tensors.Length;

    /// <summary>Members that have entered, perhaps not with all tensors yet.</summary>
    public int Entered { get; private set; }

    public int Promised { get; private set; }

    /// <summary>The first difference between descriptors, naming both peers.</summary>
    public string? Mismatch { get; private set; }

    public bool AllBegun => Entered == _promised.Length;

    /// <summary>Whether all have entered with all tensors.</summary>
    public bool AllEntered => _complete == _promised.Length;

    public bool AllPromised => Promised == _promised.Length;

    public bool HasEntered(PeerRecord peer) => _enteredTensors[peer.Rank] > 0;

    public bool HasEnteredAll(PeerRecord peer) => HasEntered(peer) && _enteredTensors[peer.Rank] == _tensorsSaid[peer.Rank];

    /// <summary>How many tensors the attempt has, as the peer says.</summary>
    public int TensorsOf(PeerRecord peer) => _tensorsSaid[peer.Rank];

    /// <summary>Whether all have entered with this tensor.</summary>
    public bool AllHave(ushort tensor) => _tensors[tensor]?.Entered == _promised.Length;

    /// <summary>False when the peer has entered with the tensor before, or said that there are other tensors.</summary>
    public bool Enter(PeerRecord peer, ushort tensor, CollectiveDescriptor descriptor)
    {
        ref var entered = ref _enteredTensors[peer.Rank];
        ref var said = ref _tensorsSaid[peer.Rank];
        if (entered > 0 && (said != descriptor.Tensors || entered == said))
        {
            return false;
        }

        if (tensor < _tensors.Length)
        {
            var record = _tensors[tensor] ??= new TensorRecord(descriptor, peer, _promised.Length);
            if (!record.Enter(peer.Rank))
            {
                return false;
            }

            Compare(record, peer, tensor, descriptor);
        }
        else
        {
            Mismatch ??= Different(First, peer, "", CollectiveDescriptor.SizeDifference(_tensors.Length, descriptor.Tensors));
        }

        Entered += entered == 0 ? 1 : 0;
        said = descriptor.Tensors;
        _complete += ++entered == said ? 1 : 0;
        return true;
    }

    public bool HasPromised(PeerRecord peer) => _promised[peer.Rank];

    public void Promise(PeerRecord peer)
    {
        Invariant.Holds(HasEnteredAll(peer) && !_promised[peer.Rank]);
        _promised[peer.Rank] = true;
        Promised++;
    }

    private void Compare(TensorRecord record, PeerRecord peer, ushort tensor, CollectiveDescriptor descriptor)
    {
        if (Mismatch is null && CollectiveDescriptor.Difference(record.Descriptor, descriptor) is { } difference)
        {
            Mismatch = Different(record.First, peer, _tensors.Length > 1 && descriptor.Tensors == _tensors.Length ? $"tensor {tensor} of " : "", difference);
        }
    }

    private string Different(PeerRecord left, PeerRecord right, string which, string difference)
        => $"peer {left.Id.ToShortString()} and peer {right.Id.ToShortString()} entered {which}{Key.Tag} with different arguments: {difference}";

    /// <summary>One tensor: what it is, as the first one said, and who has entered with it.</summary>
    private sealed class TensorRecord(CollectiveDescriptor descriptor, PeerRecord first, int worldSize)
    {
        private readonly ulong[] _entered = new ulong[(worldSize + 63) / 64];

        public CollectiveDescriptor Descriptor { get; } = descriptor;

        public PeerRecord First { get; } = first;

        public int Entered { get; private set; }

        public bool Enter(int rank)
        {
            ref var word = ref _entered[rank / 64];
            var bit = 1UL << (rank % 64);
            if ((word & bit) != 0)
            {
                return false;
            }

            word |= bit;
            Entered++;
            return true;
        }
    }
}
