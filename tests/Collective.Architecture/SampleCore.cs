using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;

namespace Collective.Architecture;

/// <summary>A tiny Collective.Core compiled from sample sources, so that the rules themselves can be tested: a rule that cannot fail is none.</summary>
internal static class SampleCore
{
    private static readonly IReadOnlyList<MetadataReference> s_platform =
        [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path))];

    /// <summary>Compiles files given as path below Collective.Core/ and text.</summary>
    public static CoreModel Compile(params (string Path, string Text)[] files)
    {
        var sources = files.Select(file => SourceFile.Parse($"{HouseRules.Core}/{file.Path}", file.Text)).ToList();
        var trees = sources.Select(source => CSharpSyntaxTree.Create((CSharpSyntaxNode)source.Syntax, (CSharpParseOptions)source.Syntax.SyntaxTree.Options, "/repo/" + source.Path, System.Text.Encoding.UTF8));
        var compilation = CSharpCompilation.Create("Sample", trees, s_platform, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        using var assembly = new MemoryStream();
        using var symbols = new MemoryStream();
        var emitted = compilation.Emit(assembly, symbols, options: new EmitOptions(debugInformationFormat: DebugInformationFormat.PortablePdb));
        if (!emitted.Success)
        {
            throw new InvalidOperationException(string.Join('\n', emitted.Diagnostics));
        }

        return new CoreModel(sources, CompiledAssembly.Read(new MemoryStream(assembly.ToArray()), new MemoryStream(symbols.ToArray())));
    }
}
