using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>Who uses whom inside Collective.Core, judged on the compiled assembly.</summary>
[TestFixture]
internal sealed class CompiledCoreTests
{
    private CoreModel _core = null!;

    [OneTimeSetUp]
    public void Load() => _core = CoreModel.Load();

    [OneTimeTearDown]
    public void Unload() => _core.Dispose();

    [Test]
    public void Every_type_has_a_folder_with_rules()
        => Guide.IsObeyed("House style 1: every type of Core is in one of the folders of the table.", _core.HomelessTypes());

    [Test]
    public void Folders_use_only_whom_they_may()
        => Guide.IsObeyed("House style 1: who may use whom.", _core.ForbiddenUses());

    [Test]
    public void Pure_folders_are_pure()
        => Guide.IsObeyed("House style 1: pure folders do no IO, read no clock, start no thread, draw no randomness, log nothing.", _core.ImpureUses());

    [Test]
    public void Public_types_are_the_facade_and_its_vocabulary()
        => Guide.IsObeyed("House style 14: the public surface is small.", _core.MisplacedPublicTypes());
}
